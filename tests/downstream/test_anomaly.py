import numpy as np
import pytest

from sora_video.base.errors import ConfigError
from sora_video.downstream.anomaly import Alerts, calibrate, rate_a_slice


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


def test_slices_that_follow_each_other_are_one_alert():
    alerts, found = Alerts(0.5), []
    for number, far in enumerate([0.1, 0.6, 0.9, 0.7, 0.5, 0.2, 0.8]):
        found.append(alerts.take(number, number + 1.0, far))
    found.append(alerts.end())
    spans = [(one.start_s, one.end_s, one.distance, one.peak_s) for one in found if one]
    assert spans == [(1, 4.0, 0.9, 2), (6, 7.0, 0.8, 6)]
    assert (alerts.slices, alerts.over, alerts.ended) == (7, 4, 2)
    assert alerts.end() is None
