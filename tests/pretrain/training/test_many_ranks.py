"""A run of 64 processes without networks: who takes which video, in which group, and what is saved."""

from collections import Counter

import pytest
import torch

from sora_video.base.errors import ConfigError
from sora_video.pretrain.training.run.checkpoint import Checkpoints, pack
from sora_video.pretrain.training.sampler import EpochSampler

RANKS, BATCH, STEPS, EPOCHS = 64, 128, 50, 3
SAVED_EVERY = 7


@pytest.fixture
def config(make_config):
    return make_config(f"optim.batch_size={BATCH}", f"optim.groups={RANKS}", f"optim.epochs={EPOCHS}")


def refuse(text):
    """A warning where none is expected."""
    raise AssertionError(text)


def live(folder, config, videos, world, ends_after=None, *, saves):
    """Take the steps that are left with so many processes, in step with each other.

    The state of the run is what it has learnt from: the videos of each step, by group. It is saved now and
    then, and at the end if that was asked for; what a lost process takes with it is what came after.
    """
    checkpoints = Checkpoints(folder, 2)
    state = checkpoints.load(refuse) or {"step": 0, "learnt": torch.empty(0, RANKS, BATCH // RANKS)}
    samplers = [EpochSampler(videos, config, state["step"], rank, world) for rank in range(world)]
    learnt, done = [*state["learnt"]], state["step"]
    for shares in zip(*samplers, strict=True):
        assert {len(share) for share in shares} == {BATCH // world}
        assert all([position.slot for position in share] == [*range(len(share))] for share in shares)
        batch = torch.tensor([position.video for share in shares for position in share])
        learnt.append(batch.view(RANKS, samplers[0].group_size))
        done += 1
        ending = done in (ends_after, samplers[0].total_steps)
        if done % SAVED_EVERY == 0 or (ending and saves):
            checkpoints.save(done, pack({"step": done, "learnt": torch.stack(learnt)}))
        if ending:
            break
    return done


def learnt_from(folder):
    """What the last saved state has learnt from, a row a step."""
    return Checkpoints(folder, 2).load(refuse)["learnt"].flatten(1).long()


@pytest.mark.parametrize("odd", [0, 17])
def test_each_video_counts_once_an_epoch_over_a_lost_process_and_other_numbers_of_them(config, tmp_path, odd):
    videos = BATCH * STEPS + odd
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    assert live(broken, config, videos, RANKS, 73, saves=False) == 73  # a process dies, and all with it
    assert len(learnt_from(broken)) == 70
    with pytest.raises(ConfigError, match="63 processes cannot share them; use a multiple of 63"):
        live(broken, config, videos, RANKS - 1, saves=True)
    assert live(broken, config, videos, RANKS // 2, 110, saves=True) == 110  # asked to stop
    assert live(broken, config, videos, RANKS // 8, 125, saves=False) == 125
    assert live(broken, config, videos, RANKS, saves=True) == STEPS * EPOCHS
    live(whole, config, videos, 1, saves=True)
    assert torch.equal(learnt_from(broken), learnt_from(whole))
    orders = learnt_from(broken).view(EPOCHS, STEPS * BATCH).tolist()
    for order in orders:
        assert set(Counter(order).values()) == {1}
        assert len(set(range(videos)) - set(order)) == odd
    assert orders[0] != orders[1] != orders[2]
