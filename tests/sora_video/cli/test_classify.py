"""The commands on labels, in this process."""

import json
import subprocess
import sys

import pytest

from sora_video.cli.main import main
from tests.json_page import check


@pytest.fixture
def sora(monkeypatch, capsys):
    """A function that runs the command and returns what it printed; ``errors`` is what it warned of."""

    def run(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["sora", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == code, printed.err
        run.errors = printed.err
        return printed.err if code else printed.out

    return run


def test_data_sets_are_listed_with_their_homes(sora):
    rows = json.loads(sora("datasets", "--json"))
    assert [row["name"] for row in rows][:2] == ["ucf101", "hmdb51"]
    assert all(row["home"].startswith("http") for row in rows)
    assert "UCF101" in sora("datasets")


def test_a_data_set_becomes_a_manifest(sora, tmp_path):
    for name in ("v_A_g01_c01", "v_A_g02_c01"):
        (tmp_path / f"{name}.avi").touch()
    (tmp_path / "trainlist01.txt").write_text("A/v_A_g01_c01.avi 1\nA/v_A_g03_c01.avi 1\n")
    (tmp_path / "testlist01.txt").write_text("A/v_A_g02_c01.avi\n")
    said = sora("datasets", "ucf101", tmp_path, "--out", tmp_path / "ucf.csv")
    assert "2 rows in" in said
    assert "1 of 3 videos are missing: v_A_g03_c01" in said
    text = (tmp_path / "ucf.csv").read_text()
    assert text.splitlines()[:2] == ["path,label,group,split,split1", "v_A_g01_c01.avi,A,A_g01,train,train"]
    assert "name its folder and a .csv" in sora("datasets", "ucf101", tmp_path, code=2)


def test_a_classifier_is_trained_and_used(sora, videos, tiny_run, tmp_path):
    head = tmp_path / "head"
    said = sora("classify", "train", videos, "--class-folders", "--model", tiny_run.path, "--out", head)
    assert "head.json" in said
    again = ("--model", tiny_run.path, "--out", tmp_path / "again", "--json")
    check("classify train", json.loads(sora("classify", "train", videos, "--class-folders", *again)))
    found = json.loads(sora("classify", "predict", head, videos, "--out", tmp_path / "out", "--json"))
    check("classify predict", found)
    assert len(found["videos"]) == 8
    assert {one["tasks"]["label"]["label"] for one in found["videos"]} <= {"even", "odd"}
    assert (tmp_path / "out/timeline.html").is_file()
    wrong = ("--head", "tree", "--out", tmp_path / "other")
    refusal = sora("classify", "train", videos, "--class-folders", "--model", tiny_run.path, *wrong, code=2)
    assert refusal == "error: head.name='tree': is not known; choose one of linear, mlp\n"


def test_files_that_cannot_be_read_are_counted_as_files(sora, videos, tiny_run, tmp_path):
    (tmp_path / "broken.mp4").write_text("no video")
    clips = [(path, name) for name in ("even", "odd") for path in sorted((videos / name).iterdir())[:3]]
    rows = [f"{path},{name},,{start},{start + 1}" for path, name in clips for start in (0, 1)]
    rows += [f"broken.mp4,even,,{start},{start + 1}" for start in range(3)]
    (tmp_path / "spans.csv").write_text("\n".join(["path,label,group,start_s,end_s", *rows]))
    sora("classify", "train", tmp_path / "spans.csv", "--model", tiny_run.path, "--out", tmp_path / "head")
    assert "1 of 7 videos could not be read:" in sora.errors


def test_watching_prints_lines_of_json(sora, videos, tiny_run, tmp_path, write_video, moving_square):
    library = tmp_path / "library"
    sora("index", "build", library, videos, "--model", tiny_run.path)
    printed = sora("watch", library, videos / "odd/clip 1.mp4", "--false-alarms", "0.2", "--neighbours", 1)
    lines = [json.loads(line) for line in printed.splitlines()]
    assert (lines[0]["event"], lines[-1]["event"]) == ("threshold", "summary")
    assert lines[-1]["alerts"] == 0  # the library holds this very film
    film = write_video(tmp_path / "film.mp4", moving_square(99, 40), fps=8)
    printed = sora("watch", library, film, "--false-alarms", "0.9", "--neighbours", 2, "--out", tmp_path)
    check("watch", *map(json.loads, printed.splitlines()))
    assert "nothing.mp4" in sora("watch", library, tmp_path / "nothing.mp4", "--neighbours", 1, code=2)


def test_standard_input_is_watched(sora, videos, tiny_run, tmp_path, write_video, moving_square):
    sora("index", "build", tmp_path / "library", videos, "--model", tiny_run.path)
    film = write_video(tmp_path / "film.ts", moving_square(3, 40), fps=8)
    command = [sys.executable, "-m", "sora_video", "watch", tmp_path / "library", "-", "--neighbours", "1"]
    with film.open("rb") as piped:
        done = subprocess.run(command, stdin=piped, capture_output=True, check=True)
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["source"], summary["seconds"], summary["ended"]) == ("-", 5, "end of stream")


def test_videos_are_classified_by_words(sora, videos, tiny_model, tiny_run, tmp_path):
    asked = ("--label", "even", "--label", "a dog", "--class-folders")
    weights = ("--from", tiny_model("hf:tiny/clip")[0], "--out", tmp_path / "clip", "--json")
    there = json.loads(sora("models", "fetch", "hf:tiny/clip", *weights))
    check("models fetch", there)
    said = sora("classify", "words", videos, "--model", there["model"], *asked, "--out", tmp_path / "out")
    assert "balanced_accuracy" in said
    assert "no --label names odd" in sora.errors
    assert "no --label names odd" in (tmp_path / "out/timeline.html").read_text()
    head = tmp_path / "head"
    sora("classify", "train", videos, "--class-folders", "--model", tiny_run.path, "--out", head)
    beside = ("--beside", head, "--label", "odd", "--json")
    both = json.loads(sora("classify", "words", videos, "--model", there["model"], *asked, *beside))
    check("classify words", both)
    assert both["beside"]["rows"] == both["scores"]["rows"] == 8
    known = json.loads(sora("classify", "predict", head, videos, "--json"))["videos"]
    right = [one["tasks"]["label"]["label"] == one["video_id"].split("/")[0] for one in known]
    assert both["beside"]["accuracy"] == sum(right) / 8
    refused = sora("classify", "words", videos, "--model", tiny_run.path, *asked, code=2)
    assert refused.startswith(
        "error: model r3d_tiny: has no text tower; name one that has, such as hf:laion/"
    )
