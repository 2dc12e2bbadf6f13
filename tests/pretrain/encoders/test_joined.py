from dataclasses import replace

import numpy as np
import pytest

from sora_video.base.errors import ConfigError, CorpusError
from sora_video.pretrain.encoders.frozen import random_encoder
from sora_video.pretrain.encoders.joined import JoinedEncoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.video.corpus import Corpus, open_corpus
from sora_video.pretrain.video.inspect import inspect


@pytest.fixture(scope="module")
def other(make_config):
    """An encoder with longer slices, more frames and larger pictures than the tiny run's."""
    return random_encoder(make_config("slice.frames=6", "slice.fps=4", "slice.size=48", "encoder.input=rgb"))


def test_embeddings_lie_side_by_side_with_their_weights(tiny_run, other, videos):
    first = load_encoder(tiny_run.path)
    joined = JoinedEncoder([first, other], [1.0, 0.5])
    together, alone = joined.embed(videos), first.embed(videos)
    assert joined.dim == together.dim == first.dim + other.dim
    np.testing.assert_array_equal(together.start_s, alone.start_s)
    np.testing.assert_array_equal(together.video_id, alone.video_id)
    np.testing.assert_allclose(np.linalg.norm(together.vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(together.vectors[:, : first.dim], alone.vectors / np.sqrt(1.25), atol=1e-6)


def test_the_other_sees_its_own_length_around_the_same_middle(tiny_run, other, videos):
    first = load_encoder(tiny_run.path)
    together = JoinedEncoder([first, other], [1.0, 1.0]).embed(videos)
    assert (first.config.slice.length_s, other.config.slice.length_s) == (1.0, 1.5)
    spans = []
    for video in open_corpus(videos).videos:
        last_s = inspect(video.path).duration_s - 1.5
        for start_s in together.start_s[together.video_id == video.video_id] - 0.25:
            start_s = min(max(start_s, 0.0), last_s)
            spans.append(replace(video, start_s=start_s, end_s=start_s + 1.5))
    expected = other.embed(Corpus(videos, tuple(spans)))
    np.testing.assert_allclose(together.vectors[:, first.dim :] * np.sqrt(2), expected.vectors, atol=1e-5)


def test_a_slice_of_which_one_makes_zeros_has_the_embedding_of_the_others(
    make_config, other, tmp_path, write_video
):
    black = write_video(tmp_path / "black.mp4", [np.zeros((48, 64, 3), np.uint8)] * 50)
    of_motion = random_encoder(make_config("encoder.input=residual"))
    assert not of_motion.embed(black, zeros=True).vectors.any()
    with pytest.raises(CorpusError, match=r"black\.mp4: the encoder sees nothing in any of its slices"):
        of_motion.embed(black)
    together = JoinedEncoder([of_motion, other], [1.0, 0.5]).embed(black)
    np.testing.assert_allclose(np.linalg.norm(together.vectors, axis=1), 1, atol=1e-6)
    assert not together.vectors[:, : of_motion.dim].any()


def test_what_decides_the_embedding_decides_the_fingerprint(tiny_run, other):
    first = load_encoder(tiny_run.path)
    prints = {
        JoinedEncoder(pair, weights).fingerprint
        for pair, weights in [
            ([first, other], [1, 1]),
            ([other, first], [1, 1]),
            ([first, other], [1, 0.5]),
            ([first, other.untrained(1)], [1, 1]),
        ]
    }
    assert len(prints | {first.fingerprint, other.fingerprint}) == 6
    whole, real = (JoinedEncoder([first, other], weights).fingerprint for weights in ([2, 1], [2.0, 1.0]))
    assert whole == real
    with pytest.raises(ConfigError, match=f"fingerprint {first.fingerprint[:12]} is joined twice"):
        JoinedEncoder([first, first], [1, 1])


def test_there_is_no_network_of_several(tiny_run, other):
    with pytest.raises(ConfigError, match="name one of them"):
        _ = JoinedEncoder([load_encoder(tiny_run.path), other], [1, 1]).network
