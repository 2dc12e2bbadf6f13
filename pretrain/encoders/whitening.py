"""Fitting the whitening of an encoder's features to unlabelled video.

Few directions hold most of the spread of features, and what tells one kind of motion from another often lies
along others. Divided by a power of the spread along each, features of unlike slices have lower cosines, and
nearest neighbours are of one class more often (Jégou & Chum, Negative Evidences and Co-occurences in Image
Retrieval, 2012; Su et al., Whitening Sentence Representations for Better Semantics and Faster Retrieval,
2021). Nothing is trained, and no label is seen.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sora_video.base.errors import ConfigError
from sora_video.base.randomness import generator
from sora_video.configs.parts import EncoderConfig
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.corpus import Corpus

from .frozen import VideoEncoder
from .registry import build_encoder
from .rows import VideoRows, none_left
from .spectrum import fit_spectrum
from .streams import SliceEncoder

__all__ = ["fit_whitening", "unwhitened", "whitened", "without_whitening"]

SLICES = 16384
"""Enough to fit to, however large the corpus is."""
OF_A_VIDEO = 1024
"""Most slices of one video, evenly spread."""


def unwhitened(config: EncoderConfig) -> EncoderConfig:
    """The same network without whitening, which is what is trained.

    Args:
        config: of an encoder.
    """
    return config.model_copy(update={"whiten": 0.0})


def without_whitening(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of an encoder's network but for its whitening.

    Args:
        state: by the names of the tensors.
    """
    return {name: tensor for name, tensor in state.items() if not name.startswith("whitening.")}


def whitened(encoder: VideoEncoder, corpus: Corpus, power: float) -> VideoEncoder:
    """An encoder with its features whitened.

    Args:
        encoder: whose features are not; an encoder by itself, of sight alone.
        corpus: unlabelled video.
        power: see :func:`fit_whitening`.

    Raises:
        ConfigError: it has an audio branch, or is whitened already; or the power is out of range.
        CorpusError: no slice could be read.
    """
    config = with_whitening(encoder.config, power)
    state = {**encoder.network.state_dict(), **fit_whitening(encoder, corpus, power)}
    network = build_encoder(config.encoder, seed=0)
    network.load_state_dict(state)
    white = VideoEncoder(network, config, str(encoder.device), encoder.by)
    white.data = encoder.data
    return white


def with_whitening(config: PretrainConfig, power: float) -> PretrainConfig:
    """The settings of an encoder that is whitened; its text tower is left behind, as its slices move."""
    if not 0 < power <= 1:
        raise ConfigError(f"--power {power:g}: must be above 0 and at most 1")
    if config.encoder.has_audio:
        raise ConfigError(
            f"--power {power:g}: {config.encoder.name} has an audio branch, whose space it would leave"
        )
    if config.encoder.whiten:
        raise ConfigError(
            f"encoder.whiten={config.encoder.whiten:g}: the encoder is whitened already; use it as it is"
        )
    encoder = config.encoder.model_copy(update={"whiten": power})
    text = config.text.model_copy(update={"column": None})
    return config.model_copy(update={"encoder": encoder, "text": text})


def fit_whitening(encoder: VideoEncoder, corpus: Corpus, power: float) -> dict[str, Tensor]:
    """Fit the whitening of each stream to slices of a corpus.

    Slices are those of videos drawn by the encoder's seed, up to :data:`SLICES`; a corpus that has fewer is
    embedded whole. The covariance is shrunk, see :mod:`.spectrum`.

    Args:
        encoder: of sight, whose features are not whitened.
        corpus: unlabelled video.
        power: of the standard deviation along each axis, by which features are divided; 0 would change
            nothing, 1 makes all of them equal.

    Returns:
        The tensors of the network's ``whitening``, by their names in its state.

    Raises:
        CorpusError: no slice could be read.
    """
    network = encoder.network
    assert isinstance(network, SliceEncoder)
    vectors = sample(encoder, corpus)
    parts = [span.part(vectors) for span in network.spans] or [vectors]
    state = {}
    for name, part in zip(network.trunks, parts, strict=True):
        dim = part.shape[1]
        spectrum = fit_spectrum(part[part.any(1)])
        mean = np.zeros(dim, np.float32) if spectrum is None else spectrum.mean
        matrix = np.eye(dim, dtype=np.float32) if spectrum is None else spectrum.whitening(power)
        state[f"whitening.{name}.mean"] = torch.from_numpy(mean)
        state[f"whitening.{name}.matrix"] = torch.from_numpy(matrix)
    return state


def sample(encoder: VideoEncoder, corpus: Corpus) -> NDArray[np.float32]:
    """(N, D) embeddings of slices of videos that are drawn, the same ones however they are read."""
    drawn = shuffled(corpus, encoder.config.seed)
    kept, count, failures = list[NDArray[np.float32]](), 0, []
    with closing(encoder.embed_videos(drawn)) as videos:
        for video in in_order(videos, drawn):
            if video.failure:
                failures.append(video.failure)
            if video.rows is None:
                continue
            kept.append(video.rows.vectors[:: -(-len(video.rows.vectors) // OF_A_VIDEO)])
            count += len(kept[-1])
            if count >= SLICES:
                break
    if not kept:
        raise none_left(failures)
    return np.concatenate(kept)


def shuffled(corpus: Corpus, seed: int) -> Corpus:
    """The corpus with its files in an order that is drawn; spans of one file stay together."""
    numbers = np.array(corpus.numbers())
    places = generator(seed, "whitening").permutation(numbers.max() + 1)
    order = np.argsort(places[numbers], kind="stable")
    return replace(corpus, videos=tuple(corpus.videos[entry] for entry in order))


def in_order(videos: Iterable[VideoRows], corpus: Corpus) -> Iterator[VideoRows]:
    """Videos in the order of their entries, whichever is done first."""
    numbers = np.array(corpus.numbers())
    firsts = iter(np.unique(numbers, return_index=True)[1].tolist())
    waiting: dict[int, VideoRows] = {}
    wanted = next(firsts)
    for video in videos:
        waiting[video.entry] = video
        while wanted in waiting:
            yield waiting.pop(wanted)
            wanted = next(firsts, -1)
