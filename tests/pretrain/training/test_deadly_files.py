"""Files whose decoder dies, hangs or swells: every verb goes on without them, and names them."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.video.corpus import open_corpus

REASONS = {
    "hang.mp4": "3.5 s without a frame",
    "leave.mp4": "its reader ended with status 3",
    "segfault.mp4": "its reader was killed by signal 11 (SIGSEGV)",
    "swell.mp4": "reading it takes more than 300 MB of memory",
}
LIMITS = ("data.workers=2", "data.frame_s=3.5", "data.memory_mb=300", "data.max_bad_fraction=0.5")


@pytest.fixture
def deadly_decoder(monkeypatch, tmp_path):
    """Give readers a decoder that does what a file's name says."""
    monkeypatch.syspath_prepend(
        tmp_path
    )  # readers of other tests, which import from elsewhere, are not reused
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "video/readers")
    monkeypatch.setenv("DEADLY_DECODER", "1")


@pytest.fixture
def deadly(videos, tmp_path):
    """Eight good videos, and four that end their decoder."""
    folder = tmp_path / "deadly"
    shutil.copytree(videos, folder)
    for name in REASONS:
        shutil.copy(folder / "even/clip 0.mp4", folder / name)
    return folder


@pytest.mark.usefixtures("deadly_decoder")
def test_training_goes_on_bit_for_bit_as_if_the_files_had_failed_cleanly(deadly, make_config, tmp_path):
    config = make_config(*LIMITS, "optim.epochs=2")
    run = pretrain_encoder(deadly, tmp_path / "run", config)
    failed = json.loads((run.path / "quarantine.json").read_text())
    assert {entry["video_id"]: entry["reason"] for entry in failed} == REASONS
    for name in REASONS:
        (deadly / name).write_text("no video")
    clean = pretrain_encoder(deadly, tmp_path / "clean", config)
    weights, expected = (load_file(one.path / "model.safetensors") for one in (run, clean))
    assert list(weights) == list(expected)
    assert all(torch.equal(weights[name], expected[name]) for name in weights)
    assert [line.get("loss") for line in run.log()] == [line.get("loss") for line in clean.log()]


@pytest.mark.usefixtures("deadly_decoder")
def test_embedding_names_the_files_and_keeps_the_rest(deadly, videos, make_config, tmp_path):
    run = pretrain_encoder(videos, tmp_path / "run", make_config(*LIMITS, "optim.epochs=1"))
    found = load_encoder(run.path).embed(open_corpus(deadly))
    assert {failure.video_id: failure.reason for failure in found.failures} == REASONS
    assert found.videos() == [video.video_id for video in open_corpus(videos).videos]


@pytest.mark.usefixtures("deadly_decoder")
@pytest.mark.parametrize("verb", ["prepare", pytest.param("scan", marks=pytest.mark.slow)])
def test_preparing_and_scanning_name_what_died(deadly, tmp_path, sora, verb):
    out = ("--out", tmp_path / "small") if verb == "prepare" else ()
    limits = ("--frame-s", "3.5", "--video-s", "100", "--memory-mb", "300")
    code, said = sora(verb, deadly, *out, *limits, "--json")
    found = json.loads(said)
    failures = found["unreadable"]
    assert code == 0
    assert {failure["video_id"]: failure["reason"] for failure in failures} == REASONS
    assert (found["videos"] if verb == "prepare" else len(found["videos"])) == 8


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ("--frame-s", "must be more than 0 seconds"),
        ("--video-s", "more than 0"),
        ("--memory-mb", "at least 64"),
    ],
)
def test_limits_out_of_range_are_refused(videos, sora, option, remedy):
    code, said = sora("scan", videos, option, 0)
    assert code == 2
    assert remedy in said
