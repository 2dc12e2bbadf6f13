"""A run that was stopped and continued is the unbroken run; one that must not be continued is refused."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from sora_video.base.errors import RunError, Stopped, StorageError
from sora_video.configs.loader import dump_config
from sora_video.pretrain.training.learner import Learner
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.projector import Projector
from sora_video.pretrain.training.run.checkpoint import Checkpoints, unpack
from sora_video.pretrain.training.run.folder import Run
from tests.pretrain.training.stops import finish_stepwise

BROKEN = range(5, 8)
"""Steps whose projections are not finite: three in a row send a run back."""
STEPS = 10
WEIGHTED = ["method.negatives.ignore=0.3", "method.negatives.hardness=1", "method.negatives.warmup=0"]


@pytest.fixture
def broken_steps(monkeypatch):
    """A fault in some steps, the same whenever they are taken."""
    run = Projector.run

    def poisoned(self, network, rows, number, group):
        projections = run(self, network, rows, number, group)
        return projections * torch.nan if number in BROKEN else projections

    monkeypatch.setattr(Projector, "run", poisoned)


def events(run):
    return [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]


def assert_same_run(first, second):
    """The same weights, losses and events."""
    weights, others = first.load_weights(), second.load_weights()
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())
    for name in ("step", "lr", "loss", "alignment", "uniformity", "std", "skipped"):
        assert [line.get(name) for line in first.log()] == [line.get(name) for line in second.log()]
    assert events(first) == events(second)


@pytest.mark.usefixtures("broken_steps")
@pytest.mark.parametrize(
    ("method", "final", "every_s"),
    [
        pytest.param([], "last", "1e-6", marks=pytest.mark.slow),
        pytest.param([], "best", "1e6", marks=pytest.mark.slow),
        (["method.name=moco", "method.queue=16"], "best", "1e-6"),
        pytest.param(WEIGHTED, "best", "1e-6", marks=pytest.mark.slow),
        pytest.param(["method.name=sigreg"], "last", "1e-6", marks=pytest.mark.slow),
        pytest.param(["method.name=vicreg"], "last", "1e-6", marks=pytest.mark.slow),
    ],
)
def test_going_back_and_the_best_do_not_depend_on_the_clock(
    videos, make_config, tmp_path, method, final, every_s
):
    config = make_config(
        *method, f"checkpoint.final={final}", f"checkpoint.every_s={every_s}", "checkpoint.every_steps=2",
        "checkpoint.keep=1", "guard.max_skips=3", "optim.epochs=5", "tracking.every=3",
    )  # fmt: skip
    unbroken = pretrain_encoder(videos, tmp_path / "unbroken", config)
    assert [event["event"] for event in events(unbroken)] == [*["skipped"] * 3, "rollback"]
    assert [line["step"] for line in unbroken.log()] == [3, 6, 9, STEPS]
    assert_same_run(finish_stepwise(videos, tmp_path / "resumed", config)[0], unbroken)


@pytest.mark.slow
@pytest.mark.usefixtures("broken_steps")
def test_a_run_goes_back_to_the_state_of_the_last_noted_step(videos, make_config, tmp_path):
    config = make_config("checkpoint.every_steps=4", "guard.max_skips=3", "optim.epochs=5")
    out = tmp_path / "run"
    with pytest.raises(Stopped):
        pretrain_encoder(videos, out, config, max_minutes=0)
    states = {}
    for step in range(1, 9):
        states[step] = Checkpoints(out / "checkpoints", 1).load(print)
        with pytest.raises(Stopped):
            pretrain_encoder(videos, out, resume=True, max_minutes=0)
    assert [state["step"] for state in states.values()] == list(range(1, 9))
    for name, weight in states[8]["model"].items():
        assert torch.equal(weight, states[4]["model"][name]), name
    noted = unpack(states[8]["noted"]["last"].numpy().tobytes())
    assert all(torch.equal(weight, states[8]["model"][name]) for name, weight in noted["model"].items())


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, videos, make_config):
    """A run that stopped after its first step; to be copied before it is continued."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(Stopped):
        pretrain_encoder(videos, out, make_config("tracking.every=4"), max_minutes=0)
    return out


@pytest.fixture
def to_resume(stopped, tmp_path):
    return shutil.copytree(stopped, tmp_path / "run")


@pytest.fixture
def own_videos(videos, tmp_path):
    return shutil.copytree(videos, tmp_path / "videos")


@pytest.mark.parametrize("place", [100, -100, None], ids=["start", "end", "size"])
def test_a_video_that_changed_under_its_name_is_named(to_resume, own_videos, place):
    path = own_videos / "odd" / "clip 3.mp4"
    data = bytearray(path.read_bytes())
    if place is None:
        data += b"\x00"
    else:
        data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"odd/clip 3\.mp4 and 0 other videos changed since it was started"):
        pretrain_encoder(own_videos, to_resume, resume=True)


def test_a_copy_of_the_videos_with_other_times_is_the_same(to_resume, own_videos):
    for path in own_videos.rglob("*.mp4"):
        os.utime(path, (1e9, 1e9))
    assert pretrain_encoder(own_videos, to_resume, resume=True).finished


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("lr: 0.001", "lr: 0.01", r"config\.yaml was edited: optim\.lr=0\.01, it was started with 0\.001"),
        ("epochs: 3", "epochs: 4", r"config\.yaml was edited: optim\.epochs=4, it was started with 3"),
    ],
)
def test_an_edited_setting_is_named(to_resume, videos, before, after, named):
    config = to_resume / "config.yaml"
    assert before in config.read_text()
    config.write_text(config.read_text().replace(before, after))
    with pytest.raises(RunError, match=named):
        pretrain_encoder(videos, to_resume, resume=True)


def test_settings_that_decide_nothing_may_be_edited(to_resume, videos):
    config = to_resume / "config.yaml"
    config.write_text(
        config.read_text().replace("keep: 2", "keep: 3").replace("cache_gb: 8.0", "cache_gb: 1.0")
    )
    assert pretrain_encoder(videos, to_resume, resume=True).finished


def test_a_stray_file_beside_the_states_is_ignored_with_a_warning(to_resume, videos, capfd):
    (to_resume / "checkpoints" / "best.pt").write_text("mine")
    assert pretrain_encoder(videos, to_resume, resume=True).finished
    assert "best.pt: is not a state of this run and is ignored" in capfd.readouterr().err
    assert (to_resume / "checkpoints" / "best.pt").read_text() == "mine"


def test_half_a_line_of_a_killed_run_is_left_out(to_resume):
    (to_resume / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert Run.open(to_resume).log() == [{"step": 1, "loss": 2.0}]


@pytest.mark.parametrize("noticed_by", ["checkpoint.every_s=1e-6", "optim.epochs=2"])
def test_a_folder_that_was_deleted_ends_the_run_and_is_not_made_anew(
    videos, make_config, tmp_path, monkeypatch, noticed_by
):
    out, step = tmp_path / "run", Learner.step

    def delete_first(self, batch, common, number):
        if number == 2:
            shutil.rmtree(out)
        return step(self, batch, common, number)

    monkeypatch.setattr(Learner, "step", delete_first)
    with pytest.raises(RunError, match=f"run {out}: its folder was deleted or moved") as caught:
        pretrain_encoder(videos, out, make_config("tracking.every=100", noticed_by))
    assert "--resume" not in str(caught.value)
    assert not out.exists()


TRACKED = """
import sys
from sora_video.base.errors import ConfigError, Stopped
from sora_video.configs.loader import load_config
from sora_video.pretrain.training.loop import pretrain_encoder

source, out, config = sys.argv[1:]
try:
    pretrain_encoder(source, out, load_config(config), max_minutes=0)
except ConfigError as error:
    sys.exit(str(error))
except Stopped:
    pretrain_encoder(source, out, resume=True)
"""


def tracked(videos, out, config, **environment):
    """Train with Weights & Biases in a process of its own, with one stop."""
    path = out.with_suffix(".yaml")
    path.write_text(dump_config(config), encoding="utf-8")
    command = [sys.executable, "-c", TRACKED, str(videos), str(out), str(path)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**kept, "HOME": str(out.parent), **environment},
    )


@pytest.mark.slow
def test_a_failed_start_leaves_nothing_in_the_way(videos, make_config, tmp_path):
    config = make_config("tracking.wandb=true", "optim.epochs=1")
    done = tracked(videos, tmp_path / "run", config, WANDB_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("tracking.wandb=true: ")
    assert not (tmp_path / "run").exists()
    Run.new(tmp_path / "run", config)


@pytest.mark.slow
def test_a_run_that_is_continued_is_one_run_of_weights_and_biases(videos, make_config, tmp_path):
    out, config = tmp_path / "run", make_config("tracking.wandb=true", "optim.epochs=1")
    done = tracked(videos, out, config, WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    runs = [path.name.split("-")[3] for path in (out / "wandb").glob("offline-run-*")]
    assert set(runs) == {json.loads((out / "wandb.json").read_text())["id"]}


def test_a_picture_that_cannot_be_drawn_costs_no_weights(videos, make_config, tmp_path, capfd):
    config = make_config("optim.epochs=1", f"tracking.monitor={videos}")
    with pytest.raises(Stopped):
        pretrain_encoder(videos, tmp_path / "run", config, max_minutes=0)
    (tmp_path / "run" / "map.png").mkdir()
    (tmp_path / "run" / "map.png" / "in the way").touch()
    run = pretrain_encoder(videos, tmp_path / "run", resume=True)
    assert run.finished
    assert run.metrics()["knn"] >= 0
    assert "map.png: could not be drawn: cannot write" in capfd.readouterr().err


def test_a_full_disk_while_saving_is_one_clear_error(to_resume, videos):
    (to_resume / "checkpoints" / "2.pt").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*2\.pt"):
        pretrain_encoder(videos, to_resume, resume=True, max_minutes=0)
