"""What a GPU computes is what a processor computes. ``make bench-gpu`` runs these where there is one."""

import subprocess
import sys

import faiss
import numpy as np
import pytest
import torch

from sora_video.index.store.gpu import off_gpus, on_gpus
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.run.folder import Run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU"),
]


def test_embeddings_are_those_of_a_processor(tiny_run, videos):
    near, far = (load_encoder(tiny_run.path, device).embed(videos) for device in ("cpu", "cuda"))
    assert (near.vectors * far.vectors).sum(1).min() > 1 - 1e-4
    assert near.fingerprint == far.fingerprint


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("method.name=moco",),
        ("method.negatives.ignore=0.2", "method.negatives.hardness=1"),
        ("method.name=vicreg",),
        ("method.name=sigreg",),
        ("encoder.name=sora", "encoder.width=4"),
    ],
)
def test_a_run_learns_and_ends(videos, tmp_path, make_config, settings):
    config = make_config("optim.precision=auto", "data.workers=2", "optim.epochs=6", *settings)
    log = pretrain_encoder(videos, tmp_path / "run", config).log()
    assert all(np.isfinite(entry["loss"]) for entry in log)
    assert load_encoder(tmp_path / "run").embed(videos).vectors.shape[0] > 0


def test_a_run_that_was_stopped_ends_as_one_that_was_not(videos, tmp_path, make_config):
    config = make_config("data.workers=2", "optim.epochs=8")
    whole = pretrain_encoder(videos, tmp_path / "whole", config).weights()
    command = [sys.executable, "-m", "sora_video", "pretrain", str(videos), "--out", str(tmp_path / "run")]
    (tmp_path / "config.yaml").write_bytes((tmp_path / "whole" / "config.yaml").read_bytes())
    first = [*command, "--config", str(tmp_path / "config.yaml"), "--max-minutes", "0.05"]
    subprocess.run(first, check=True, capture_output=True)
    if not (tmp_path / "run" / "model.safetensors").exists():
        subprocess.run([*command, "--resume"], check=True, capture_output=True)
    resumed = Run.open(tmp_path / "run").weights()
    for name, weight in whole.items():
        torch.testing.assert_close(resumed[name], weight, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(faiss.get_num_gpus() == 0, reason="this build of FAISS has no GPU support")
def test_neighbours_are_those_of_a_processor():
    vectors = np.random.default_rng(0).standard_normal((20_000, 64), np.float32)
    faiss.normalize_L2(vectors)
    index = faiss.IndexFlatIP(64)
    index.add(vectors)
    wanted, asked = index.search(vectors[:100], 10), on_gpus(index)
    found = asked.search(vectors[:100], 10)
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-4)
    assert (found[1] == wanted[1]).mean() > 0.99
    assert off_gpus(asked).ntotal == 20_000
