import numpy as np
import pytest

from sora_video.base.errors import ConfigError
from sora_video.downstream.anomaly import Alert, Alerts, Change, Rules, calibrate, rate_a_slice


@pytest.mark.parametrize(
    ("text", "hop_s", "rate"),
    [("1/hour", 1.0, 1 / 3600), ("2/day", 0.5, 1 / 86400), ("0.5/minute", 6.0, 0.05), ("0.01", 9.0, 0.01)],
)
def test_rates_are_counted_by_slice(text, hop_s, rate):
    assert rate_a_slice(text, hop_s) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["0", "1", "2", "-1/hour", "often", "1/year", "nan", "100000/hour"])
def test_a_rate_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="--false-alarms"):
        rate_a_slice(text, 1.0)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_new_normal_slices_keep_the_rate(rate):
    """Over many draws, as the guarantee is in the mean."""
    rng = np.random.default_rng(0)
    over = [
        np.mean(rng.gamma(2.0, size=200) > calibrate(rng.gamma(2.0, size=400), rate).distance)
        for _ in range(300)
    ]
    assert 0.8 * rate < np.mean(over) < 1.15 * rate


def test_footage_that_is_too_short_says_so():
    short, enough = (calibrate(np.arange(count) / count, 0.01) for count in (50, 150))
    assert short.too_short
    assert short.distance == pytest.approx(0.98)  # the largest
    assert short.expected == pytest.approx(1 / 51)
    assert not enough.too_short


def found(distances, rules=None, hop_s=1.0):
    """Start and end of the alerts of slices of a second, and when each was said to start."""
    alerts, ended, said = Alerts(0.5, rules), [], []
    for number, far in enumerate(distances):
        change = alerts.take(number * hop_s, number * hop_s + 1.0, far)
        ended += [change.ended] if change.ended else []
        said += [number] if change.started else []
    last = alerts.end().ended
    assert alerts.end() == Change()
    ended += [last] if last else []
    assert len(ended) == len(said) == alerts.ended
    return [(one.start_s, one.end_s) for one in ended], said, alerts


def test_slices_that_follow_each_other_are_one_alert():
    distances = [0.1, 0.6, 0.9, 0.7, 0.5, 0.2, 0.8]
    spans, said, alerts = found(distances)
    assert spans == [(1, 4), (6, 7)]
    assert said == [1, 6]
    assert (alerts.slices, alerts.over, alerts.dropped) == (7, 4, 0)


def test_the_farthest_slice_is_the_peak():
    alerts = Alerts(0.5)
    for number, far in enumerate([0.6, 0.9, 0.7]):
        alerts.take(number, number + 1.0, far)
    assert alerts.end().ended == Alert(0, 3.0, 0.9, 1)


@pytest.mark.parametrize(
    ("rules", "spans", "said", "dropped"),
    [
        (Rules(), [(0, 1), (2, 3), (6, 9), (10, 11)], [0, 2, 6, 10], 0),
        (Rules(join_s=1), [(0, 3), (6, 11)], [0, 6], 0),
        (Rules(join_s=2.9), [(0, 3), (6, 11)], [0, 6], 0),
        (Rules(join_s=3), [(0, 11)], [0], 0),
        (Rules(least_s=2), [(6, 9)], [7], 3),
        (Rules(join_s=1, least_s=4), [(6, 11)], [10], 1),
        (Rules(cooldown_s=6), [(0, 1), (7, 9)], [0, 7], 0),
        (Rules(least_s=3, cooldown_s=9), [(6, 9)], [8], 2),
    ],
)
def test_alerts_are_joined_left_out_and_held_back(rules, spans, said, dropped):
    distances = [0.9 if mark == "x" else 0.1 for mark in "x.x...xxx.x."]
    ended, when, alerts = found(distances, rules)
    assert (ended, when, alerts.dropped) == (spans, said, dropped)


def test_rules_below_0_are_refused():
    with pytest.raises(ConfigError, match=r"join_s=-1: must be at least 0"):
        Rules(join_s=-1)
