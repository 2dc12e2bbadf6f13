import json

import pytest

from sora_video.base.errors import CorpusError
from sora_video.pretrain.video.quarantine import Failure, Quarantine


def test_a_run_goes_on_up_to_the_fraction_and_stops_past_it():
    quarantine = Quarantine(total=20, max_fraction=0.1)
    quarantine.add(Failure("a.mp4", "empty"))
    quarantine.add(Failure("b.mp4", "empty"))
    with pytest.raises(
        CorpusError, match=r"3 of 20 videos cannot be read, over 10%; the last is c\.mp4: cut"
    ):
        quarantine.add(Failure("c.mp4", "cut"))


def test_the_same_video_counts_once():
    quarantine = Quarantine(total=10, max_fraction=0.1)
    for _ in range(5):
        quarantine.add(Failure("a.mp4", "empty"))
    assert list(quarantine.failures) == ["a.mp4"]


def test_the_list_is_written_even_when_empty(tmp_path):
    quarantine = Quarantine(total=10)
    quarantine.write(tmp_path / "q.json")
    assert json.loads((tmp_path / "q.json").read_text()) == []
    quarantine.add(Failure("straße.mp4", "no video stream"))
    quarantine.write(tmp_path / "q.json")
    assert json.loads((tmp_path / "q.json").read_text(encoding="utf-8")) == [
        {"video_id": "straße.mp4", "reason": "no video stream"}
    ]


def test_one_failure_is_borne_however_small_the_corpus_unless_none_is_allowed():
    Quarantine(total=3, max_fraction=0.1).add(Failure("a.mp4", "empty"))
    with pytest.raises(CorpusError, match="1 of 3 videos"):
        Quarantine(total=3, max_fraction=0.0).add(Failure("a.mp4", "empty"))


def test_failures_outlive_a_resume(tmp_path):
    first = Quarantine(total=10)
    first.add(Failure("a.mp4", "empty"))
    first.write(tmp_path / "q.json")
    second = Quarantine(total=10)
    second.read(tmp_path / "q.json")
    assert second.failures == first.failures
