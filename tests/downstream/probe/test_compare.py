import json

import numpy as np
import pytest

from sora_video.base.errors import LabelsError, RunError
from sora_video.downstream.probe.compare import compare_probes


@pytest.fixture
def probed(tmp_path):
    """A function that writes what a probe with this share of right answers would."""

    def write(name, right, seeds=1, count=200, drop=(), flip=(), groups=100):
        rng = np.random.default_rng(0)  # the same hard videos for all
        truth = np.array(list("abcd"))[np.arange(count) % 4]
        hard = rng.random((seeds, count))
        said = np.where(hard < right, truth, np.roll(truth, 1))
        rows = [
            {
                "video_id": f"{row}.mp4",
                "start_s": 0.0,
                "end_s": None,
                "classes": ["d" if row in flip else str(truth[row])],
                "group": f"g{row // 2 % groups}",
            }
            for row in range(count)
        ]
        kept = [row for row in range(count) if row not in drop][:: -1 if name == "backwards" else 1]
        first = np.where(hard < right, 1, 3)
        content = {
            "headline": "balanced",
            "protocol": {"classes": list("abcd")},
            "test rows": [rows[row] for row in kept],
            "predictions": {"linear": [[str(one[row]) for row in kept] for one in said]},
            "retrieval": [
                {"first": [int(one[row]) for row in kept], "precision": [float(1 / one[row]) for row in kept]}
                for one in first
            ],
        }
        path = tmp_path / name / "probe" / "metrics.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
        return tmp_path / name

    return write


def test_a_paired_difference_is_told_with_its_interval(probed):
    weak, strong = probed("weak", 0.6), probed("strong", 0.7)
    table = compare_probes([weak, strong])
    assert [row.metric for row in table] == ["linear balanced"] * 2 + ["R@1"] * 2 + ["retrieval mAP"] * 2
    base, other = table[:2]
    assert (base.difference, base.p) == (None, None)
    assert other.value - base.value == pytest.approx(other.difference)
    assert 0 < other.difference_low < other.difference < other.difference_high
    assert other.p < 0.05
    assert base.high > other.low  # apart only because the same rows are held against each other


def test_the_same_probe_differs_in_nothing(probed):
    table = compare_probes([probed("a", 0.6), probed("backwards", 0.6) / "probe" / "metrics.json"])
    assert (table[1].difference, table[1].difference_low, table[1].difference_high, table[1].p) == (
        0,
        0,
        0,
        1,
    )
    cells = table[1].cells()
    assert (cells["difference"], cells["95 % of it"], cells["p"]) == ("+0.000", "+0.000 to +0.000", 1)


def test_seeds_take_part_in_the_interval(probed):
    table = compare_probes([probed("a", 0.6, seeds=3), probed("b", 0.6, seeds=2)])
    assert len(table) == 6
    assert table[1].difference_low < 0 < table[1].difference_high


@pytest.mark.parametrize("change", [{"drop": [7]}, {"flip": [4]}])
def test_other_test_rows_are_refused_by_name(probed, change):
    one, two = probed("one", 0.6), probed("two", 0.6, **change)
    name = "7.mp4" if "drop" in change else "4.mp4"
    for pair in ((one, two), (two, one)):
        with pytest.raises(LabelsError, match=f"test rows differ: {name} .*probe both on the same labels"):
            compare_probes(pair)


def test_a_folder_without_a_probe_is_refused(tmp_path):
    (tmp_path / "metrics.json").write_text('{"loss": 1}')
    with pytest.raises(RunError, match="holds no metrics of a probe; name a probed run"):
        compare_probes([tmp_path])


def test_test_rows_of_one_group_give_no_interval_and_no_p(probed):
    table = compare_probes([probed("a", 0.5, groups=1), probed("b", 0.9, groups=1)])
    assert all(row.cells()["95 %"] == "none: all test rows are one group" for row in table)
    assert table[1].difference > 0.1
    assert not any("p" in row.cells() or "95 % of it" in row.cells() for row in table)


def test_p_counts_the_sample_itself(probed):
    table = compare_probes([probed("a", 0.2), probed("b", 0.95)])
    assert table[1].p == 2 / 1001
