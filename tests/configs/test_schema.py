import pytest
from pydantic import ValidationError

from sora_video.configs.schema import PretrainConfig
from sora_video.configs.sections import SliceConfig


def test_a_config_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        PretrainConfig().seed = 3


def test_length_of_a_slice_is_frames_over_rate():
    assert SliceConfig(frames=16, fps=12.5).length_s == 1.28


@pytest.mark.parametrize("resize", [None, 64, (64, 96)])
def test_a_square_that_lies_within_the_resized_frame_is_taken(resize):
    assert SliceConfig(size=64, resize=resize).resize == resize
