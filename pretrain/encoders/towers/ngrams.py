"""A text tower from random weights: words by their groups of characters, then a small transformer."""

from collections.abc import Sequence
from typing import Annotated
from unicodedata import category, normalize
from zlib import crc32

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pad_sequence

from sora_video.configs.parts import TextConfig

from .tower import TextTower

__all__ = ["NGrams", "NGramsConfig", "ngrams", "words_of"]

LENGTHS = range(3, 7)
"""Characters of a group, as in fastText."""
HEAD = 32
"""Features of a head of attention."""


class NGramsConfig(TextConfig):
    """Settings of ngrams."""

    width: Annotated[int, Field(ge=HEAD, le=4096, multiple_of=HEAD)] = 128
    """Features of a word."""
    layers: Annotated[int, Field(ge=0, le=24)] = 1
    """Layers of the transformer over words; 0: the mean of the words, whatever their order."""
    buckets: Annotated[int, Field(ge=256, le=2**22)] = 2**14
    """Vectors that groups of characters share by their hashes."""
    words: Annotated[int, Field(ge=1, le=1024)] = 64
    """Most words of a text; what follows is ignored."""


class NGrams(TextTower):
    """Hashed n-grams of characters, averaged over a word; a transformer over words, averaged over a text.

    There is no vocabulary: a word that was never seen has the n-grams that it shares with others.

    Args:
        config: the sizes.
        dim: D of the encoder.

    References:
        Bojanowski et al., Enriching Word Vectors with Subword Information, 2017: the words.
        Vaswani et al., Attention Is All You Need, 2017, with layer norms before each part: the transformer.
    """

    settings = NGramsConfig

    def __init__(self, config: NGramsConfig, dim: int) -> None:
        super().__init__(config)
        self.config, width = config, config.width
        self.grams = nn.EmbeddingBag(config.buckets, width, mode="mean")
        self.places = nn.Parameter(torch.empty(config.words, width))
        nn.init.normal_(self.grams.weight, std=0.02)
        nn.init.normal_(self.places, std=0.01)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                width // HEAD,
                4 * width,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.layers)
        )
        self.norm, self.project = nn.LayerNorm(width), nn.Linear(width, dim)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """See :meth:`TextTower.forward`."""
        device = self.places.device
        words = [words_of(text)[: self.config.words] for text in texts]
        grams = [ngrams(word, self.config.buckets) for text in words for word in text]
        lengths = torch.tensor([0, *map(len, grams)], device=device)
        flat = torch.tensor([gram for word in grams for gram in word], device=device)
        vectors = self.grams(flat, lengths.cumsum(0)[:-1])
        counts = torch.tensor([len(text) for text in words], device=device)
        padded = pad_sequence(vectors.split(counts.tolist()), batch_first=True)
        there = torch.arange(padded.shape[1], device=device) < counts[:, None]
        hidden = padded + self.places[: padded.shape[1]]
        with sdpa_kernel(SDPBackend.MATH):  # the others' gradients are not the same each time on every GPU
            for layer in self.layers:
                hidden = layer(hidden, src_key_padding_mask=~there)
        mean = (hidden * there[..., None]).sum(1) / counts[:, None]
        features: Tensor = self.project(self.norm(mean))
        return features


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case and without punctuation; at least one.

    Letters, digits and the marks that go with them make words, in any script.

    Args:
        text: not empty.
    """
    folded = normalize("NFKC", text).casefold()
    spaced = "".join(sign if category(sign)[0] in "LMN" else " " for sign in folded)
    return spaced.split() or folded.split() or [folded]


def ngrams(word: str, buckets: int) -> list[int]:
    """The hashes of a word and of its groups of characters, with a mark at both ends.

    Args:
        word: of any length above 0.
        buckets: how many hashes there are.

    Returns:
        Numbers from 0 to ``buckets`` - 1; the word itself comes first.
    """
    marked = f"<{word}>"
    groups = [
        marked[start : start + length] for length in LENGTHS for start in range(len(marked) - length + 1)
    ]
    return [crc32(group.encode()) % buckets for group in (f"{marked} ", *groups)]
