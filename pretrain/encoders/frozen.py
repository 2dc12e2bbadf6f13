"""Videos to embeddings with a finished encoder."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from sora_video.base.errors import ConfigError, RunError
from sora_video.base.progress import Bar
from sora_video.base.randomness import torch_seed
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.sections import DataConfig
from sora_video.pretrain.video.corpus import Corpus, Source, open_corpus
from sora_video.pretrain.video.quarantine import Failure
from sora_video.pretrain.video.read import read_videos
from sora_video.pretrain.video.reader import Chunk
from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.video.still import find_still

from .aspects import Aspect
from .embeddings import Embeddings
from .fingerprint import fingerprint
from .inputs import Clips, whole
from .registry import Encoder, build_encoder
from .rows import Gathering, Rows, VideoRows, has_embedding, none_left, table_of, why_empty
from .words import Words, check_texts, without_words

__all__ = ["VideoEncoder", "random_encoder"]


APART = "does not keep look and motion apart; train encoder.input=both, without an audio branch"
REMEDIES = {
    "sight": "",
    "sound": "has no audio branch; train encoder.name=sora_av",
    "look": APART,
    "motion": APART,
}
"""What an encoder lacks that does not have an aspect, and what to do; every encoder sees."""
MOST_PIXELS = 2**22
"""Pixels of slices that a network sees at once, such as 32 slices of 8 frames of 128 x 128."""


class VideoEncoder:
    """A frozen encoder with its preprocessing.

    Args:
        network: the slice encoder.
        config: the config it was trained with.
        device: torch device to compute on; None: a GPU if there is one.
        by: an aspect of the network, ``"sight"`` or ``"sound"``, or ``"look"`` or ``"motion"`` of two
            streams: by this alone, in the space of all; None: by all of it.
        weights: the weights to fingerprint, by their names in the file; None: the network's.
        words: loads the text tower beside the network; None: there is none.

    Raises:
        ConfigError: the network does not have this aspect.
    """

    spec: str | None = None
    """Model spec that it was loaded by, absolute; None: it was made otherwise."""
    data: DataConfig | None = None
    """How many readers it reads by, and what they may take; None: as its config says."""

    def __init__(
        self,
        network: Encoder,
        config: PretrainConfig,
        device: str | None = None,
        by: str | None = None,
        weights: Mapping[str, Tensor] | None = None,
        words: Callable[[], Words] | None = None,
    ) -> None:
        if by is not None and by not in network.aspect_names:
            raise no_aspect(by, config)
        self.config, self.by, self._load_words = config, by, words
        self.aspect = network.aspect_names.index(by) if by else 0
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._network = network.eval().requires_grad_(False).to(self.device)
        self.fingerprint = fingerprint(weights or network.state_dict(), config.encoder, config.slice)

    @property
    def network(self) -> Encoder:
        """The slice encoder."""
        return self._network

    @property
    def dim(self) -> int:
        """Dimension of the embeddings."""
        return self.network.dim

    @property
    def spans(self) -> tuple[Aspect, ...]:
        """The aspects that are spans of the embedding."""
        return self.network.spans

    @property
    def alone(self) -> tuple[str, ...]:
        """The aspects that it can embed by, each alone; see ``by``."""
        return self.network.aspect_names[1:]  # the first is all of it

    @property
    def configs(self) -> tuple[PretrainConfig, ...]:
        """How each encoder of which this one consists sees a slice; the first says where slices are."""
        return (self.config,)

    @property
    def shares(self) -> tuple[float, ...]:
        """The part that each of these encoders has in the cosine of two embeddings; they sum to 1."""
        return (1.0,)

    @property
    def reading(self) -> str:
        """All that decides what is read of a video; encoders that agree in it can share what is decoded."""
        return f"{self.config.slice!r} {self.config.encoder.has_audio}"

    @cached_property
    def words(self) -> Words:
        """What embeds texts in the space of the slices; loaded when it is first asked for.

        Raises:
            ConfigError: there is no text tower, or it does not fit how frames are pooled.
            RunError: its weights cannot be read.
        """
        if self._load_words is None:
            raise without_words(self.config.encoder.name)
        return self._load_words()

    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts in the space of the slices.

        Args:
            texts: n of them, at least one.

        Returns:
            (n, ``dim``) float32, L2-normalised.

        Raises:
            ConfigError: a text is empty, or see :attr:`words`.
        """
        embedded = normalize(self.words.embed(check_texts(texts)).float(), dim=1)
        return np.asarray(embedded.cpu().numpy())

    def untrained(self, draw: int) -> "VideoEncoder":
        """The same encoder with random weights; see :func:`random_encoder`.

        Args:
            draw: number of the draw of the weights, from 0.
        """
        return random_encoder(self.config, draw=draw, by=self.by)

    def embed(
        self, source: Source, *, progress: bool = True, indexes: Path | None = None, zeros: bool = False
    ) -> Embeddings:
        """Embed every slice of a corpus, computing in float32.

        Slices start ``slice.hop_s`` apart, one more ends at the video's end, and a video shorter than a slice
        gives one slice that holds its last frame. By sound, slices without audio are left out, and by any
        encoder those that it embeds as zeros, as an untrained one of motion does where nothing moves.

        Args:
            source: what :func:`sora_video.pretrain.video.corpus.open_corpus` takes.
            progress: show a bar on standard error when that is a terminal.
            indexes: see :func:`sora_video.pretrain.video.read.read_videos`.
            zeros: keep slices that are embedded as zeros.

        Returns:
            The embeddings by video and time; videos that could not be read, or have no slice with an
            embedding, are in its ``failures``.

        Raises:
            CorpusError: no slice could be read.
        """
        corpus = open_corpus(source)
        videos = sorted(
            self.embed_videos(corpus, progress=progress, indexes=indexes, zeros=zeros),
            key=lambda video: video.entry,
        )
        if not any(video.rows for video in videos):
            raise none_left([video.failure for video in videos if video.failure])
        return self.table(corpus, videos)

    def embed_videos(
        self, corpus: Corpus, *, progress: bool = True, indexes: Path | None = None, zeros: bool = False
    ) -> Generator[VideoRows, None, None]:
        """Embed a corpus as :meth:`embed` does, video by video; only those being read are held in memory.

        Args:
            corpus: which videos or spans.
            progress: see :meth:`embed`.
            indexes: see :meth:`embed`.
            zeros: see :meth:`embed`.

        Yields:
            What became of each video, in the order in which they are done.
        """
        gathering, slices, done = Gathering(corpus, why_empty(self.by)), 0, 0
        with Bar("embed", len(corpus), "slices", shown=progress) as bar:
            for entry, item in self.read(corpus, indexes):
                rows = item if isinstance(item, Failure) else self.rows(item, zeros=zeros)
                last = isinstance(item, Failure) or item.last
                slices += len(rows.start_s) if isinstance(rows, Rows) else 0
                done += last
                bar.advance(done, slices)
                if video := gathering.add(entry, rows, last=last):
                    yield video

    def table(self, corpus: Corpus, videos: Sequence[VideoRows]) -> Embeddings:
        """The table of some videos that :meth:`embed_videos` gave.

        Args:
            corpus: that they are of.
            videos: at least one.
        """
        return table_of(corpus, videos, self.dim, self.fingerprint, self.spans, self.spec)

    def rows(self, chunk: Chunk, *, zeros: bool = False) -> Rows:
        """Embed a chunk of slices; those that have no embedding are left out, see :meth:`embed`.

        Args:
            chunk: slices of one corpus entry, with their times.
            zeros: see :meth:`embed`.

        Returns:
            (n,) starts and ends in seconds, (n, ``dim``) embeddings, and which of them show nothing.

        Raises:
            RunError: an embedding is not finite.
        """
        still = find_still(chunk.slices.frames, chunk.slices.lengths)
        rows = Rows(chunk.start_s, chunk.end_s, self.embed_chunk(chunk), still & (self.by != "sound"))
        is_there = has_embedding(rows.vectors) | zeros
        if self.by == "sound":
            is_there &= chunk.slices.has_audio
        return rows.select(is_there)

    def read(self, corpus: Corpus, indexes: Path | None = None) -> Iterator[tuple[int, Chunk | Failure]]:
        """Decode a corpus into this encoder's slices; see :func:`sora_video.pretrain.video.read.read_videos`.

        Each chunk has the slices as all encoders see them of which this one consists.

        Args:
            corpus: which videos or spans.
            indexes: folder to keep indexes of the videos in; None: nowhere.

        Yields:
            The entry's number in the corpus, with a chunk of its slices or the reason why it cannot be read.
        """
        return read_videos(corpus, *self.configs, indexes=indexes, data=self.data)

    def embed_chunk(self, chunk: Chunk) -> NDArray[np.float32]:
        """Embed a chunk of slices.

        Args:
            chunk: n slices that :meth:`read` gave.

        Returns:
            (n, ``dim``) float32, L2-normalised; zeros where the network's output is 0.

        Raises:
            RunError: an embedding is not finite.
        """
        return self.join([encoder.embed_slices(slices) for encoder, slices in self.seen(chunk)])

    def seen(self, chunk: Chunk) -> Iterable[tuple["VideoEncoder", Slices[NDArray[Any]]]]:
        """The encoders of which this one consists, each with the slices as it sees them.

        Args:
            chunk: slices that :meth:`read` gave.
        """
        return [(self, chunk.slices)]

    def join(self, parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """The embeddings (..., ``dim``) from those of the encoders of which this one consists.

        Args:
            parts: (..., D) each, in the order of :meth:`seen`.
        """
        return parts[0]

    def embed_slices(self, slices: Slices[NDArray[Any]]) -> NDArray[np.float32]:
        """Embed decoded slices.

        Args:
            slices: n of them.

        Returns:
            (n, ``dim``) float32, L2-normalised; zeros where the network's output is 0.

        Raises:
            RunError: an embedding is not finite.
        """
        return self.embed_clips(
            whole(Slices(*(torch.from_numpy(column).to(self.device) for column in slices)))
        )

    def embed_clips(self, clips: Clips) -> NDArray[np.float32]:
        """Embed an encoder's input, a few slices at once where they are large, to bound memory.

        Args:
            clips: n slices, on the encoder's device.

        Returns:
            (n, ``dim``) float32, L2-normalised; zeros where the network's output is 0.

        Raises:
            RunError: an embedding is not finite.
        """
        at_once = max(1, MOST_PIXELS // prod(clips.clips.shape[2:]))
        parts = zip(*(torch.split(column, at_once) for column in clips), strict=True)
        with torch.inference_mode():
            features = torch.cat([self.network(*part).aspects[:, self.aspect] for part in parts])
            embedded: NDArray[np.float32] = normalize(features.float(), dim=1).cpu().numpy()
        if not np.isfinite(embedded).all():
            raise RunError(
                f"encoder {self.config.encoder.name} with fingerprint {self.fingerprint[:12]}: its "
                "embeddings are not finite; train again with a smaller optim.lr, or take other weights"
            )
        return embedded


def no_aspect(by: str, config: PretrainConfig) -> ConfigError:
    """The refusal of an aspect that a network does not have."""
    if by not in REMEDIES:
        *others, last = REMEDIES
        return ConfigError(f"by={by}: must be {', '.join(others)} or {last}")
    return ConfigError(f"by={by}: {config.encoder.name} {REMEDIES[by]}")


def random_encoder(
    config: PretrainConfig, device: str | None = None, draw: int = 0, by: str | None = None
) -> VideoEncoder:
    """An untrained encoder of the same architecture, the baseline of every probe.

    Args:
        config: names the network and its preprocessing; its seed decides the weights.
        device: torch device to compute on; None: a GPU if there is one.
        draw: number of the draw of the weights, from 0.
        by: see :class:`VideoEncoder`.
    """
    seed = torch_seed(config.seed, "encoder", *([draw] if draw else []))
    return VideoEncoder(build_encoder(config.encoder, seed), config, device, by)
