"""Look and motion of encoders that see frames and their differences."""

import numpy as np
import pytest
import torch

from sora_video.base.errors import ConfigError
from sora_video.pretrain.encoders.aspects import Aspect, check_aspects
from sora_video.pretrain.encoders.frozen import VideoEncoder, random_encoder
from sora_video.pretrain.encoders.joined import JoinedEncoder


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def encoder(make_config):
    return random_encoder(make_config("encoder.input=both"), "cpu")


@pytest.fixture(scope="module")
def embedded(encoder, videos):
    """Embeddings of the same slices by all, by look and by motion."""
    by = (VideoEncoder(encoder.network, encoder.config, "cpu", by) for by in (None, "look", "motion"))
    return [one.embed(videos, progress=False) for one in by]


def test_each_stream_alone_is_an_aspect(encoder):
    """Reference: the networks themselves, on frames and on differences."""
    torch.manual_seed(0)
    clips, network = torch.rand(3, 3, 8, 32, 32), encoder.network
    with torch.no_grad():
        features, _, aspects, _ = network(clips)
        frames = (clips - network.mean) / network.std
        look = network.trunks["rgb"](frames, None)[0]
        motion = network.trunks["residual"](frames[:, :, 1:] - frames[:, :, :-1], None)[0]
    parts = [torch.nn.functional.normalize(part, dim=1) for part in (look, motion)]
    nothing = torch.zeros_like(parts[0])
    torch.testing.assert_close(features, torch.cat(parts, 1))
    torch.testing.assert_close(aspects[:, 0], features)
    torch.testing.assert_close(aspects[:, 1], torch.cat([parts[0], nothing], 1))
    torch.testing.assert_close(aspects[:, 2], torch.cat([nothing, parts[1]], 1))


def test_an_aspect_is_a_span_of_the_embedding(encoder, embedded):
    everything, *alone = embedded
    half = encoder.dim // 2
    look, motion = encoder.spans
    assert (look, motion) == (Aspect("look", 0, half, 0.5), Aspect("motion", half, 2 * half, 0.5))
    for span, other in zip((look, motion), alone, strict=True):
        np.testing.assert_allclose(span.alone(everything.vectors), other.vectors, atol=1e-6)
        cut = unit(everything.vectors[:, span.start : span.end])
        np.testing.assert_allclose(span.part(everything.vectors), cut, atol=1e-6)
        np.testing.assert_allclose(span.asked(other.vectors) @ everything.vectors.T, cut @ cut.T, atol=1e-5)
    assert len({one.fingerprint for one in embedded}) == 1


def test_the_cosine_of_two_slices_is_the_mean_of_look_and_motion(embedded):
    everything, look, motion = (one.vectors for one in embedded)
    mean = (look @ look.T + motion @ motion.T) / 2
    np.testing.assert_allclose(everything @ everything.T, mean, atol=1e-5)


def test_nothing_stays_nothing():
    nothing = np.zeros((2, 4), np.float32)
    assert not Aspect("look", 0, 2, 0.5).asked(nothing).any()


@pytest.mark.parametrize(
    "aspects",
    [
        [Aspect("look", 0, 5, 0.5)],
        [Aspect("look", 2, 2, 0.5)],
        [Aspect("look", -1, 2, 0.5)],
        [Aspect("look", 0, 2, 0.0)],
        [Aspect("", 0, 2, 0.5)],
        [Aspect("look", 0, 2, 0.5), Aspect("look", 2, 4, 0.5)],
    ],
)
def test_spans_that_no_embedding_has_are_refused(aspects):
    with pytest.raises(ValueError, match="aspect"):
        check_aspects(aspects, 4)


def test_an_aspect_that_an_encoder_lacks_is_refused(encoder, make_config):
    for by in ("look", "motion"):
        with pytest.raises(ConfigError, match=f"by={by}: r3d_tiny does not keep look .* encoder.input=both"):
            random_encoder(make_config(), by=by)
    with pytest.raises(ConfigError, match="by=sound: r3d_tiny has no audio branch"):
        VideoEncoder(encoder.network, encoder.config, by="sound")
    with pytest.raises(ConfigError, match="by=smell: must be sight, sound, look or motion"):
        VideoEncoder(encoder.network, encoder.config, by="smell")


def test_one_stream_and_joined_encoders_have_no_spans(encoder, make_config, videos):
    one = random_encoder(make_config(), "cpu")
    assert one.spans == JoinedEncoder([encoder, one], [1, 1]).spans == ()
    looks = [random_encoder(make_config("encoder.input=both"), "cpu", draw, "look") for draw in (1, 2)]
    joined = JoinedEncoder(looks, [1, 2]).embed(videos, progress=False)
    assert not joined.vectors[:, looks[0].dim // 2 : looks[0].dim].any()
