"""What the model card says of a run's views."""

from pathlib import Path

import pytest

from sora_video.configs.loader import load_config
from sora_video.pretrain.training.run.card import model_card
from sora_video.pretrain.video.corpus import Corpus

METRICS = {"parameters": 9, "videos": 8, "unreadable": 0, "steps": 6, "loss": 1.0, "fingerprint": "f" * 64}


@pytest.mark.parametrize(
    ("overrides", "row"),
    [
        ([], None),
        (["augment.compress=0.5"], "compressed with probability 0.5"),
        (
            ["augment.overlay=0.25", "augment.border=1", "augment.tubelet=0.7"],
            "covered by rectangles with probability 0.25, with bars with probability 1, "
            "with moving patches with probability 0.7",
        ),
        (
            ["augment.local_views=3", "augment.local_size=16"],
            "3 local views a video, 16 px square, of all frames of a slice",
        ),
        (
            ["augment.border=0.5", "augment.local_views=2", "augment.local_frames=4"],
            "with bars with probability 0.5, 2 local views a video, 32 px square, of 4 frames",
        ),
    ],
)
def test_copies_and_local_views_are_named(overrides, row):
    table = model_card(load_config(None, overrides), Corpus(Path("films"), ()), METRICS).split("```")[0]
    rows = [line for line in table.splitlines() if line.startswith("| views |")]
    assert rows == ([] if row is None else [f"| views | {row} |"])
