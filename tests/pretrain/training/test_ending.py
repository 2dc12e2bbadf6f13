"""A run that ends otherwise than planned, early or later, and what it leaves on the disk."""

import pytest
import torch

from sora_video.base.errors import RunError, Stopped
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.run.checkpoint import Checkpoints
from sora_video.pretrain.training.run.folder import Run
from sora_video.pretrain.video.cache import LEAST_BYTES, frames_budget


def stop_after(videos, out, config, steps):
    """Take some steps of a run, each in a call of its own."""
    for number in range(steps):
        with pytest.raises(Stopped):
            pretrain_encoder(videos, out, config, resume=number > 0, max_minutes=0)


@pytest.fixture
def stopped(videos, make_config, tmp_path):
    """A run of 3 epochs of 2 steps that was stopped after 3 steps."""
    stop_after(videos, tmp_path / "run", make_config(), 3)
    return tmp_path / "run"


def test_a_run_is_finished_early_with_its_last_state(stopped, videos, sora):
    state = Checkpoints(stopped / "checkpoints", 2).load(print)
    assert sora("pretrain", videos, "--out", stopped, "--finish", "optim.epochs=2")[0] == 2
    code, told = sora("pretrain", videos, "--out", stopped, "--finish")
    assert code == 0, told
    run = Run.open(stopped)
    assert (run.metrics()["steps"], run.metrics()["planned_steps"]) == (3, 6)
    assert "3 steps of 6, finished early" in (stopped / "README.md").read_text()
    assert [line["step"] for line in run.log()] == [1, 2, 3]
    assert not (stopped / "checkpoints").exists()
    saved = {name: weight for name, weight in state["model"].items() if name.startswith("encoder.")}
    weights = {f"encoder.{name}": weight for name, weight in run.load_weights().items()}
    torch.testing.assert_close(weights, saved, rtol=0, atol=0)


def test_a_run_without_a_saved_state_is_not_finished(videos, tmp_path, untrained_run):
    begun = untrained_run(tmp_path / "run")
    (begun / "model.safetensors").unlink()
    with pytest.raises(RunError, match="has no saved state to be finished with; use --resume"):
        pretrain_encoder(videos, begun, resume=True, finish=True)


def test_a_longer_run_follows_the_schedule_of_its_new_length(stopped, videos, make_config, tmp_path, sora):
    resume = ("pretrain", videos, "--out", stopped, "--resume")
    code, told = sora(*resume, "optim.epochs=1")
    assert (code, "optim.epochs=1: the run has taken 1.5 epochs; give more, or --finish" in told) == (2, True)
    for wrong in ("optim.lr=1", "optim.epochs=many"):
        code, told = sora(*resume, wrong)
        assert (code, f"{wrong}: a run keeps its config" in told) == (2, True)
    with pytest.raises(Stopped):
        pretrain_encoder(videos, stopped, resume=True, epochs=5, max_minutes=0)
    longer = pretrain_encoder(videos, stopped, resume=True)  # which no longer has to say so
    planned = pretrain_encoder(videos, tmp_path / "planned", make_config("optim.epochs=5"))
    assert longer.config == planned.config
    assert [line["step"] for line in longer.log()] == list(range(1, 11))
    rates = [[line["lr"] for line in run.log()][3:] for run in (longer, planned)]
    assert rates[0] == rates[1]
    assert "planned_steps" not in longer.metrics()


def test_a_run_may_be_ended_before_the_epoch_that_was_planned(stopped, videos):
    run = pretrain_encoder(videos, stopped, resume=True, epochs=2)
    assert (run.metrics()["steps"], run.config.optim.epochs) == (4, 2)


def test_frames_are_deleted_when_a_run_stops_or_ends(videos, make_config, tmp_path, capfd):
    stop_after(videos, tmp_path / "run", make_config(), 1)
    assert not list((tmp_path / "run").rglob("*.frames"))
    pretrain_encoder(videos, tmp_path / "run", resume=True, epochs=1)
    assert not (tmp_path / "run" / "cache").exists()
    pretrain_encoder(videos, tmp_path / "whole", make_config("optim.epochs=1"))
    assert f"{tmp_path}/whole/cache: 1 MB of decoded frames were deleted" in capfd.readouterr().err
    kept = make_config("data.keep_cache=true")
    stop_after(videos, tmp_path / "kept", kept, 1)
    frames = {path: path.stat().st_ino for path in (tmp_path / "kept/cache").glob("*.frames")}
    assert frames
    pretrain_encoder(videos, tmp_path / "kept", resume=True)
    assert (
        frames.items() <= {path: path.stat().st_ino for path in (tmp_path / "kept/cache").iterdir()}.items()
    )
    assert "deleted" not in capfd.readouterr().err


def test_frames_take_space_in_proportion_to_the_videos(tmp_path):
    film = tmp_path / "a.mp4"
    film.touch()
    assert frames_budget([film, tmp_path / "absent.mp4"], 8 * 10**9) == LEAST_BYTES
    with film.open("r+b") as file:
        file.truncate(2 * 10**8)
    assert frames_budget([film, film], 8 * 10**9) == 3_200_000_000
    assert frames_budget([film], 10**9) == 10**9
