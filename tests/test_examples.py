"""What version 0.1.0 wrote, stored in ``examples/``, serves as it did; others are added, none is changed."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import sora_video
from sora_video.base.errors import RunError

STORED = Path(__file__).parent / "examples" / "0.1.0"


@pytest.fixture
def examples(tmp_path):
    """A copy of the stored folder."""
    return shutil.copytree(STORED, tmp_path / "examples")


def test_a_run_embeds_as_it_did(examples):
    before = sora_video.read_embeddings(examples / "embeddings.parquet")
    now = sora_video.load_encoder(examples / "run", device="cpu").embed(examples / "videos")
    assert now.fingerprint == before.fingerprint
    assert now.video_id.tolist() == before.video_id.tolist()
    np.testing.assert_allclose(now.vectors, before.vectors, atol=1e-4)


def test_a_stopped_run_goes_on(examples):
    run = sora_video.pretrain_encoder(examples / "videos", examples / "stopped", resume=True)
    assert [line["step"] for line in run.log() if "loss" in line] == [1, 2, 3, 4, 5, 6]
    assert np.isfinite(run.log()[-1]["loss"])
    with pytest.raises(RunError, match="finished already"):
        sora_video.pretrain_encoder(examples / "videos", examples / "stopped", resume=True)


def test_a_library_is_searched_with_its_run(examples, sora):
    clip = examples / "videos" / "odd" / "clip 3.mp4"
    code, printed = sora("search", examples / "library", clip, "--model", examples / "run", "--json")
    hits = json.loads(printed)
    assert code == 0
    assert (hits["hits"] if isinstance(hits, dict) else hits)[0]["video_id"] == "odd/clip 3.mp4"
    library = sora_video.Library.open(examples / "library")
    assert library.attributes("odd/clip 1.mp4")["camera"] == 3
    assert "even/clip 4.mp4" not in library.videos()
    assert library.verify().damage == ()


def test_a_head_predicts_with_its_run(examples, sora):
    code, printed = sora(
        "classify", "predict", examples / "head", examples / "videos", "--model", examples / "run",
        "--out", examples / "out", "--json",
    )  # fmt: skip
    assert code == 0, printed
    assert "clip 3" in (examples / "out" / "predictions.json").read_text()


@pytest.mark.usefixtures("quick_probe")
def test_kept_features_are_used_again(examples):
    contents = (examples / "run" / "features" / "contents.jsonl").read_text()
    (examples / "run" / "features" / "contents.jsonl").write_text(
        contents.replace("/examples/videos", str(examples / "videos"))
    )
    kept = sorted((examples / "run" / "features").glob("*/rows.jsonl"))
    before = [path.read_bytes() for path in kept]
    sora_video.linear_probe(examples / "videos" / "labels.csv", examples / "run")
    assert sorted((examples / "run" / "features").glob("*/rows.jsonl")) == kept
    assert [path.read_bytes() for path in kept] == before


def test_probes_are_compared(examples, sora):
    code, printed = sora("compare", examples / "run", examples / "run", "--json")
    assert code == 0, printed


def test_a_prepared_folder_goes_on(examples, sora):
    for line in (examples / "prepared" / "prepared.jsonl").read_text().splitlines()[1:]:
        record = json.loads(line)  # a checkout has times of its own
        path = examples / "videos" / record["video_id"]
        os.utime(path, ns=(record["source_mtime_ns"], record["source_mtime_ns"]))
    code, printed = sora(
        "prepare", examples / "videos", "--out", examples / "prepared", "--size", 32, "--fps", 5, "--json"
    )
    assert code == 0, printed
    assert (json.loads(printed)["videos"], json.loads(printed)["made"]) == (8, 0)
