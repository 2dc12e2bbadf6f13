"""The table of what pretraining needs, against sums by hand."""

import pytest

from benchmarks.needs import Rates, needs

ROUND = Rates(
    clips_s=1000.0,
    slices=2,
    frames=10,
    efficiency=0.5,
    frames_s=5000.0,
    gb_hour=0.25,
    states=4,
    gb_state=0.5,
    usd_hour=3.0,
    days=1.0,
    machine=8,
)


def test_a_small_run_has_one_gpu_and_none_of_the_loss_between_several():
    need = needs(18_000, 10, 100, ROUND)
    assert (need.clips, need.gpus, need.hours) == (3_600_000, 1, 50)
    assert need.days == pytest.approx(1 / 24)  # 3,600 s
    assert need.usd == pytest.approx(3)
    assert need.processors == 2
    assert need.disk_gb == pytest.approx(50 / 4 + 4 / 2)


@pytest.mark.parametrize(
    ("videos", "hours", "gpus"), [(36_000 * 12, 24, 1), (36_000 * 13, 52, 3), (36_000 * 120, 480, 24)]
)
def test_a_large_run_has_as_many_gpus_as_the_limit_of_days_asks_for_and_whole_machines(videos, hours, gpus):
    need = needs(videos, 10, 100, ROUND)
    assert need.gpus == gpus
    assert need.days * 24 * gpus == pytest.approx(hours)
    assert need.days <= ROUND.days
    assert need.usd == pytest.approx(3 * hours)
    assert need.processors == 2 * gpus
