"""Runs that stand in ``runs/``, as the version that was new then left them; new ones are added, none changed.

``r3d_tiny`` and ``sora`` are of the first version, ``r3d_tiny_both`` of the last whose streams were not
compared each alone, the others of the one that brought their encoders.
``weights.json`` has the names and shapes of their weights, which are drawn here from a seed, and the
fingerprint of these; ``embeddings.npy`` is what they make of :func:`slices`.
"""

import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from safetensors.numpy import save_file

from sora_video.base.errors import RunError
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.run.checkpoint import Checkpoints, pack
from sora_video.pretrain.video.slices import Slices

RUNS = sorted(path.parent for path in (Path(__file__).parent / "runs").glob("*/config.yaml"))


def slices():
    """Noise of light and, in the first and last slice, of sound."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 8, 32, 32, 3), np.uint8)
    sound = rng.integers(-(2**13), 2**13, (3, 16000), np.int16)
    return Slices(frames, np.full(3, 8), sound, np.array([True, False, True]))


def weight(name, kind, shape):
    """A weight that depends on its name alone."""
    drawn = np.random.default_rng(crc32(name.encode())).normal(0, 0.5, shape)
    return np.asarray(np.abs(drawn) + 0.5 if name.endswith("running_var") else drawn).astype(kind)


@pytest.fixture(params=RUNS, ids=lambda run: run.name)
def run(request, tmp_path):
    """A run folder of an older version, and the fingerprint it had."""
    stored = json.loads((request.param / "weights.json").read_text())
    weights = {name: weight(name, *kind) for name, kind in stored["weights"].items()}
    (tmp_path / "config.yaml").write_bytes((request.param / "config.yaml").read_bytes())
    save_file(weights, tmp_path / "model.safetensors", {"fingerprint": stored["fingerprint"]})
    return tmp_path, stored["fingerprint"], np.load(request.param / "embeddings.npy")


def test_a_run_of_an_older_version_embeds_as_it_did_there(run):
    path, fingerprint, embeddings = run
    encoder = load_encoder(path, device="cpu")
    np.testing.assert_allclose(encoder.embed_slices(slices()), embeddings, atol=1e-4)
    assert encoder.fingerprint == fingerprint  # so that its libraries stay of use


@pytest.mark.parametrize("run", [RUNS[0].with_name("r3d_tiny_both")], indirect=True, ids=["both"])
def test_a_run_whose_streams_were_compared_together_has_look_and_motion(run):
    path, _, embeddings = run
    assert load_encoder(path, device="cpu").config.loss.stream_within == 0
    for by in ("look", "motion"):
        encoder = load_encoder(path, device="cpu", by=by)
        (span,) = (span for span in encoder.spans if span.name == by)
        np.testing.assert_allclose(encoder.embed_slices(slices()), span.alone(embeddings), atol=1e-4)


def test_a_state_that_does_not_fit_is_refused(videos, make_config, tmp_path):
    with pytest.raises(RunError, match="stopped after step 1"):
        pretrain_encoder(videos, tmp_path / "run", make_config("optim.epochs=2"), max_minutes=0)
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints", 1)
    state = checkpoints.load(print)
    state["model"] = {f"older.{name}": weight for name, weight in state["model"].items()}
    checkpoints.save(1, pack(state))
    with pytest.raises(RunError, match="its state is from another version of sora-video"):
        pretrain_encoder(videos, tmp_path / "run", resume=True)
