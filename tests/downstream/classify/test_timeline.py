import numpy as np
import pytest

from sora_video.downstream.classify.timeline import Timeline


def slow_spans(cells, classes, smooth_s):
    """The rule of the docstring, with all slices at hand."""
    starts, ends, chances = (np.array(column) for column in zip(*cells, strict=True))
    middles = (starts + ends) / 2
    near = np.abs(middles[:, None] - middles) <= smooth_s / 2 + 1e-6
    smoothed = np.array([chances[row].mean(0) for row in near])
    bounds = [starts[0], *((middles[1:] + middles[:-1]) / 2), ends[-1]]
    spans = []
    for place, row in enumerate(smoothed):
        label = classes[row.argmax()]
        if spans and spans[-1][2] == label:
            spans[-1][1] = bounds[place + 1]
            spans[-1][3].append(row.max())
        else:
            spans.append([bounds[place], bounds[place + 1], label, [row.max()]])
    return [(start, end, label, np.mean(sure)) for start, end, label, sure in spans]


@pytest.mark.parametrize("smooth_s", [0.0, 1.0, 3.0, 7.5, 1000.0])
@pytest.mark.parametrize("hop_s", [0.5, 1.0, 2.0])
def test_the_rule_is_the_one_that_is_stated(smooth_s, hop_s):
    rng = np.random.default_rng(int(10 * (smooth_s + hop_s)))
    chances = rng.dirichlet(np.ones(3), 60).astype(np.float32)
    cells = [(number * hop_s, number * hop_s + 1.0, row) for number, row in enumerate(chances)]
    cells[-1] = (cells[-1][0] - 0.3 * hop_s, cells[-1][1] - 0.3 * hop_s, cells[-1][2])  # ends with its video
    timeline = Timeline("abc", smooth_s)
    for cell in cells:
        timeline.add(*cell)
    for ours, theirs in zip(timeline.end(), slow_spans(cells, "abc", smooth_s), strict=True):
        assert ours.label == theirs[2]
        assert (ours.start_s, ours.end_s, ours.confidence) == pytest.approx((theirs[0], theirs[1], theirs[3]))


def test_no_more_is_kept_than_the_window_needs():
    timeline, most = Timeline("ab", 3.0), 0
    for number in range(2000):
        timeline.add(number, number + 1.0, np.array([1.0, 0.0], np.float32))
        most = max(most, len(timeline.near))
    assert most < 12
    assert [(span.start_s, span.end_s) for span in timeline.end()] == [(0, 2000.0)]


def test_one_slice_that_errs_is_smoothed_away():
    chances = np.tile([0.8, 0.2], (20, 1))
    chances[10] = [0.3, 0.7]
    rough, smooth = Timeline("ab", 0.0), Timeline("ab", 3.0)
    for number, row in enumerate(chances.astype(np.float32)):
        rough.add(number, number + 1.0, row)
        smooth.add(number, number + 1.0, row)
    assert len(rough.end()) == 3
    assert [span.label for span in smooth.end()] == ["a"]
