import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from sora_video.base.errors import CorpusError, RunError
from sora_video.base.files import write_text
from sora_video.configs.loader import dump_config, load_config
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loader import Loading
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.run.folder import Run
from sora_video.pretrain.training.run.guard import COLLAPSED
from sora_video.pretrain.video.readers.supervisor import supervisor

TRAIN = """
import sys
from pathlib import Path
from sora_video.base.errors import SoraError
from sora_video.configs.loader import load_config
from sora_video.pretrain.training.loop import pretrain_encoder

source, out, config = sys.argv[1:]
try:
    pretrain_encoder(source, Path(out), load_config(config))
except SoraError as error:
    sys.exit(str(error))
"""
SIGNAL_AT_STEP = """
import os
from sora_video.pretrain.training.learner import Learner

step = Learner.step

def signalled(self, batch, common, number):
    if number == {step}:
        os.kill(os.getpid(), {signal:d})
    return step(self, batch, common, number)

Learner.step = signalled
"""
LONG = ("optim.epochs=4", "data.workers=1")
PARTS = ("wait", "augment", "forward", "loss", "backward", "update")


def start(source, out, config, code=TRAIN, **environment):
    """Train in a process of its own."""
    path = out.with_suffix(".yaml")
    path.write_text(dump_config(config), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-c", code, str(source), str(out), str(path)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def weights(run):
    return load_file(run.path / "model.safetensors")


def assert_equal(first, second):
    assert list(first) == list(second)
    for name, weight in first.items():
        assert torch.equal(weight, second[name]), name


def names(folder):
    """What training wrote; other tests probe the shared run, which leaves features in it."""
    return sorted(path.name for path in folder.iterdir() if path.name not in {"features", "probe"})


def run_and_signal(videos, out, config, number, step):
    """Train in a process of its own that gets a signal when it has taken so many steps."""
    process = start(videos, out, config, SIGNAL_AT_STEP.format(step=step, signal=number) + TRAIN)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, videos, make_config):
    """A run that SIGTERM stopped on its way; to be copied before it is continued."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    code, errors = run_and_signal(videos, out, make_config(*LONG), signal.SIGTERM, 2)
    assert code == 1, errors
    assert f"run {out}: stopped after step " in errors
    assert "continue it with --resume" in errors
    return out


@pytest.fixture
def to_resume(stopped, tmp_path):
    return shutil.copytree(stopped, tmp_path / "run")


def test_a_finished_run_holds_what_a_reader_wants(tiny_run, make_config):
    assert names(tiny_run.path) == [
        "README.md",
        "config.yaml",
        "events.jsonl",
        "log.jsonl",
        "metrics.json",
        "model.safetensors",
        "quarantine.json",
        "views.png",
    ]
    assert load_config(str(tiny_run.path / "config.yaml")) == make_config()
    assert json.loads((tiny_run.path / "quarantine.json").read_text()) == []
    assert [line["step"] for line in tiny_run.log()] == [1, 2, 3, 4, 5, 6]
    for line in tiny_run.log():
        assert line.keys() >= {"epoch", "loss", "std", "lr", "clips_per_s", "wait", "step_ms"}
        parts = sum(line[f"{part}_ms"] for part in PARTS)
        assert 0 < parts <= 1.01 * line["step_ms"]
    assert tiny_run.finished


def test_fingerprints_of_a_run_agree(tiny_run):
    metrics = json.loads((tiny_run.path / "metrics.json").read_text())
    with safe_open(tiny_run.path / "model.safetensors", "pt") as file:
        stored = file.metadata()["fingerprint"]
    assert stored == metrics["fingerprint"] == load_encoder(tiny_run.path).fingerprint
    assert stored in (tiny_run.path / "README.md").read_text()
    assert (metrics["videos"], metrics["unreadable"], metrics["steps"]) == (8, 0, 6)


def test_the_learning_rate_warms_up_and_falls(tiny_run, make_config):
    rates = [line["lr"] for line in tiny_run.log()]
    assert max(rates) == pytest.approx(make_config().optim.lr)
    assert rates[0] < max(rates)
    assert rates[-1] < 0.5 * max(rates)


def test_an_existing_run_is_not_overwritten(tiny_run, videos, make_config):
    before = weights(tiny_run)
    with pytest.raises(RunError, match="exists already; choose another --out"):
        pretrain_encoder(videos, tiny_run.path, make_config())
    with pytest.raises(RunError, match="is finished already; choose another --out"):
        pretrain_encoder(videos, tiny_run.path, resume=True)
    assert_equal(weights(tiny_run), before)


def test_a_run_that_is_not_there_cannot_be_resumed(videos, tmp_path):
    with pytest.raises(RunError, match=r"no run there \(config\.yaml is missing\)"):
        pretrain_encoder(videos, tmp_path / "gone", resume=True)
    assert not (tmp_path / "gone").exists()


def test_a_run_killed_before_its_first_save_begins_anew(tiny_run, videos, make_config, tmp_path):
    begun = Run.new(tmp_path / "run", make_config())
    begun.begin()
    for name in (
        ".config.77.partial.yaml",
        "checkpoints/.2_-1.0.77.partial.pt",
        "cache/.a.77.partial.frames",
    ):
        write_text(begun.path / name, "half")
    (begun.path / "log.jsonl").write_text('{"step": 1, "loss": 9.0, "clips_per_s": 1, "wait": 0}\n{"st')
    resumed = pretrain_encoder(videos, begun.path, resume=True)
    assert_equal(weights(resumed), weights(tiny_run))
    assert names(resumed.path) == names(tiny_run.path)
    assert [line["loss"] for line in resumed.log()] == [line["loss"] for line in tiny_run.log()]


def test_a_stopped_run_is_unfinished_and_says_how_to_go_on(stopped):
    assert "checkpoints" in names(stopped)
    assert "model.safetensors" not in names(stopped)
    with pytest.raises(RunError, match=r"not finished .*--resume"):
        load_encoder(stopped)


def test_a_stopped_run_goes_on_bit_for_bit(to_resume, videos, make_config, tmp_path):
    unbroken = pretrain_encoder(videos, tmp_path / "unbroken", make_config(*LONG))
    resumed = pretrain_encoder(videos, to_resume, resume=True)
    assert_equal(weights(resumed), weights(unbroken))
    for name in ("step", "loss", "lr"):
        assert [line[name] for line in resumed.log()] == [line[name] for line in unbroken.log()]
    assert names(resumed.path) == names(unbroken.path)


@pytest.mark.parametrize(
    ("method", "workers"),
    [*(pytest.param(*case, marks=pytest.mark.slow) for case in [("moco", 0), ("simclr", 1)]), ("moco", 2)],
)
def test_a_run_killed_in_the_middle_of_an_epoch_goes_on_bit_for_bit(
    videos, make_config, tmp_path, method, workers
):
    config = make_config(
        "optim.epochs=3", "optim.batch_size=2", f"method.name={method}",
        "slice.per_video=3", f"data.workers={workers}", "checkpoint.every_s=1e-6", "checkpoint.keep=99",
        *(["method.queue=16"] if method == "moco" else []),
    )  # fmt: skip
    out = tmp_path / "run"
    code, errors = run_and_signal(videos, out, config, signal.SIGKILL, 6)  # with six steps of twelve taken
    assert code == -signal.SIGKILL, errors
    assert names(out / "checkpoints") == [f"{step}.pt" for step in range(1, 7)]
    unbroken = pretrain_encoder(videos, tmp_path / "unbroken", config)
    resumed = pretrain_encoder(videos, out, resume=True)
    assert_equal(weights(resumed), weights(unbroken))
    for name in ("step", "loss", "lr"):
        assert [line[name] for line in resumed.log()] == [line[name] for line in unbroken.log()]


def test_time_that_is_up_stops_a_run_ready_to_be_continued(tiny_run, videos, make_config, tmp_path):
    with pytest.raises(RunError, match=r"stopped after step 1; continue it with --resume"):
        pretrain_encoder(videos, tmp_path / "run", make_config(), max_minutes=0)
    assert_equal(weights(pretrain_encoder(videos, tmp_path / "run", resume=True)), weights(tiny_run))


def test_a_run_can_end_with_the_weights_of_its_best_state(videos, make_config, tmp_path):
    long = ("optim.epochs=6", "checkpoint.every_steps=1", "checkpoint.final=best")
    run = pretrain_encoder(videos, tmp_path / "run", make_config(*long))
    quality = [line["alignment"] + line["uniformity"] for line in run.log()]
    best = quality.index(min(quality))
    steps = pretrain_encoder(videos, tmp_path / "all", make_config(*long, "checkpoint.final=last"))
    assert [line["loss"] for line in steps.log()] == [line["loss"] for line in run.log()]
    same = all(torch.equal(weight, weights(steps)[name]) for name, weight in weights(run).items())
    assert same == (best == len(quality) - 1)


@pytest.mark.slow
def test_moco_learns_to_tell_few_videos_apart(videos, make_config, tmp_path):
    config = make_config(
        "method.name=moco", "method.momentum=0.9", "method.queue=8", "optim.epochs=48",
        "optim.batch_size=8", "optim.lr=3e-3",
        "encoder.input=rgb", "augment.crop_area=[0.8,1]", "augment.jitter=0", "augment.grey=0",
    )  # fmt: skip
    losses = [line["loss"] for line in pretrain_encoder(videos, tmp_path, config).log()]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


@pytest.mark.parametrize(("method", "remedy"), [("simclr", "loss.temperature"), ("sigreg", "method.weight")])
def test_a_collapse_is_warned_of(write_video, make_config, tmp_path, capfd, method, remedy):
    for number in range(4):  # without motion there is nothing in the differences of frames to tell apart
        write_video(tmp_path / f"still/{number}.mp4", [np.full((48, 64, 3), 50 * number, np.uint8)] * 40)
    config = make_config("encoder.input=residual", f"method.name={method}")
    run = pretrain_encoder(tmp_path / "still", tmp_path / "run", config)
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events if event["event"] == "collapse"] == [1, 2, 3]
    assert [line["std"] < COLLAPSED for line in run.log()] == [True] * 3
    said = capfd.readouterr().err
    assert said.count("embeddings are nearly all equal") == said.count(f"raise {remedy} or optim.batch") == 3


def test_a_stopped_run_does_not_go_on_with_other_videos(to_resume, videos, tmp_path):
    shutil.copytree(videos, tmp_path / "other")
    (tmp_path / "other" / "even" / "clip 0.mp4").rename(tmp_path / "other" / "even" / "clip 9.mp4")
    with pytest.raises(RunError, match=r"was started with other videos than .*; resume it with the same"):
        pretrain_encoder(tmp_path / "other", to_resume, resume=True)
    assert "checkpoints" in names(to_resume)


def test_loss_falls_when_few_videos_are_seen_often(videos, make_config, tmp_path):
    gentle = ("augment.crop_area=[0.8,1]", "augment.jitter=0", "augment.grey=0")
    much = ("optim.epochs=28", "optim.batch_size=8", "optim.lr=3e-3", "encoder.input=rgb")
    losses = [line["loss"] for line in pretrain_encoder(videos, tmp_path, make_config(*gentle, *much)).log()]
    assert sum(losses[-5:]) < 0.4 * sum(losses[:5])


def test_bf16_trains_too(videos, make_config, tmp_path):
    run = pretrain_encoder(videos, tmp_path / "run", make_config("optim.precision=bf16", "optim.epochs=2"))
    assert all(weight.isfinite().all() for weight in weights(run).values())
    assert {weight.dtype for weight in weights(run).values()} <= {torch.float32, torch.int64}


def test_one_unreadable_file_is_named_and_the_run_ends_well(videos, make_config, tmp_path):
    shutil.copytree(videos, tmp_path / "mixed")
    for number in range(3):
        shutil.copy(videos / "even" / "clip 0.mp4", tmp_path / "mixed" / f"more {number}.mp4")
    (tmp_path / "mixed" / "cut.mp4").write_bytes((videos / "even" / "clip 0.mp4").read_bytes()[:900])
    run = pretrain_encoder(tmp_path / "mixed", tmp_path / "run", make_config())
    listed = json.loads((run.path / "quarantine.json").read_text())
    assert [failure["video_id"] for failure in listed] == ["cut.mp4"]
    assert listed[0]["reason"].startswith("cannot be read: ")
    assert run.finished
    assert json.loads((run.path / "metrics.json").read_text())["unreadable"] == 1


def test_too_many_unreadable_files_stop_the_run(videos, make_config, tmp_path):
    shutil.copytree(videos, tmp_path / "mixed")
    for number in range(3):
        (tmp_path / "mixed" / f"empty {number}.mp4").touch()
    with pytest.raises(CorpusError, match=r"2 of 11 videos cannot be read, over 10%; .*file is empty"):
        pretrain_encoder(tmp_path / "mixed", tmp_path / "run", make_config())
    assert len(json.loads((tmp_path / "run" / "quarantine.json").read_text())) == 2
    assert not Run.open(tmp_path / "run").finished


def test_the_fraction_is_of_files_however_many_spans_a_manifest_names(videos, make_config, tmp_path):
    rows = [f"{path},{n / 5:.1f}," for path in sorted(videos.rglob("*.mp4")) for n in range(5)]
    for number in range(2):
        (tmp_path / f"empty {number}.mp4").touch()
        rows.append(f"empty {number}.mp4,,")
    (tmp_path / "spans.csv").write_text("path,start_s,end_s\n" + "\n".join(rows) + "\n")
    with pytest.raises(CorpusError, match=r"2 of 10 videos cannot be read, over 10%"):
        pretrain_encoder(tmp_path / "spans.csv", tmp_path / "run", make_config())


def test_spans_of_one_unreadable_file_are_one_failure(videos, make_config, tmp_path):
    rows = [f"{path},," for path in sorted(videos.rglob("*.mp4"))]
    (tmp_path / "empty.mp4").touch()
    rows += [f"empty.mp4,{number},{number + 1}" for number in range(4)]
    (tmp_path / "spans.csv").write_text("path,start_s,end_s\n" + "\n".join(rows) + "\n")
    run = pretrain_encoder(tmp_path / "spans.csv", tmp_path / "run", make_config())
    metrics = json.loads((run.path / "metrics.json").read_text())
    assert (metrics["videos"], metrics["unreadable"]) == (9, 1)


def test_a_mistake_in_reading_ends_the_run_and_its_readers(videos, make_config, tmp_path, monkeypatch):
    def broken(*_):
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(Loading, "batch", broken)
    with pytest.raises(ValueError, match="a mistake of ours"):
        pretrain_encoder(videos, tmp_path / "run", make_config("data.workers=1"))
    assert all(crew.closed for crew in supervisor().crews)


def test_a_corpus_of_one_video_leaves_no_run(videos, make_config, tmp_path):
    with pytest.raises(CorpusError, match="has 1 video"):
        pretrain_encoder(videos / "even" / "clip 0.mp4", tmp_path / "run", make_config())
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_weights_and_biases_works_without_a_network(videos, make_config, tmp_path):
    out = tmp_path / "run"
    config = make_config("tracking.wandb=true", f"tracking.monitor={videos}")
    process = start(videos, out, config, WANDB_MODE="offline")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert list((out / "wandb").glob("offline-run-*/*.wandb"))
    sent = (out / "wandb").glob("offline-run-*/files/media/images/*.png")
    pictures = {path.name.split("_")[0]: path.read_bytes() for path in sent}
    assert pictures == {name: (out / f"{name}.png").read_bytes() for name in ("map", "views")}
    assert Run.open(out).finished
    assert len(Run.open(out).log()) == 6


def test_a_diverged_run_is_refused_not_finished(videos, make_config, tmp_path):
    steep = make_config("optim.lr=1e30", "optim.warmup_epochs=0", "optim.epochs=12", "guard.max_rollbacks=1")
    with pytest.raises(
        RunError, match=r"5 steps in a row had no finite .*; train again with a smaller optim\.lr"
    ):
        pretrain_encoder(videos, tmp_path / "run", steep)
    assert not (tmp_path / "run/model.safetensors").exists()
    events = [json.loads(line) for line in (tmp_path / "run/events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == [*["skipped"] * 5, "rollback", *["skipped"] * 5]
    assert len(events[0]["videos"]) == 4
