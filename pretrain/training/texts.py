"""Slices against the texts of their videos."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sora_video.base.digests import json_sha256
from sora_video.base.errors import ConfigError
from sora_video.base.randomness import torch_seed
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.towers.tower import build_tower
from sora_video.pretrain.video.corpus import Corpus

from .aspects import present
from .fabric import Fabric
from .loss import info_nce
from .methods import Known
from .ranks import gather

__all__ = ["Described", "TextLoss", "Texts", "contrast_texts", "read_texts"]


class Texts(NamedTuple):
    """The texts of a corpus."""

    different: tuple[str, ...]
    """Each text once."""
    codes: tuple[int, ...]
    """Which of them each entry of the corpus has; -1: none."""

    @property
    def rows(self) -> int:
        """How many entries have a text."""
        return sum(code >= 0 for code in self.codes)

    def digest(self) -> str:
        """A hash of which entry has which text."""
        return json_sha256([self.different, self.codes])


def read_texts(corpus: Corpus, config: PretrainConfig) -> Texts | None:
    """The texts that a run learns; None where it learns none.

    Args:
        corpus: a manifest.
        config: ``text.column`` names the column.

    Raises:
        ConfigError: there is no such column, or it has fewer than two different texts.
    """
    column = config.text.column
    if column is None or not config.text.is_learnt:
        return None
    cells = [" ".join(video.columns.get(column, "").split()) for video in corpus.videos]
    numbers: dict[str, int] = {}
    codes = tuple(numbers.setdefault(cell, len(numbers)) if cell else -1 for cell in cells)
    if len(numbers) > 1:
        return Texts(tuple(numbers), codes)
    if numbers:
        raise ConfigError(
            f"text.column={column}: {corpus.root} has one text, {next(iter(numbers))!r}, and nothing to tell "
            "it from; name a column with different texts"
        )
    others = sorted({name for video in corpus.videos for name in video.columns})
    remedy = f"columns with texts are {', '.join(others)}" if others else "name a manifest that has one"
    raise ConfigError(f"text.column={column}: no video of {corpus.root} has a text there; {remedy}")


class Described(NamedTuple):
    """n slices of a step under A aspects, and which text each has."""

    features: Tensor
    """(n, A, D)"""
    present: Tensor
    """(n, A) bool, which slices have which aspect"""
    video: Tensor
    """(n,) int64, equal for slices of the same file"""
    code: Tensor
    """(n,) int64, equal for slices of the same text; -1: it has none"""


class TextLoss:
    """The loss of a step's texts, and the tower that learns from it; the same in every process.

    Args:
        config: which tower, its weight and its seed.
        texts: of the corpus.
        dim: D of the encoder.
        aspects: names of the A aspects that are compared.
        device: to compute on.

    Raises:
        ConfigError: published weights of the tower are not here.
    """

    def __init__(
        self, config: PretrainConfig, texts: Texts, dim: int, aspects: Sequence[str], device: torch.device
    ) -> None:
        self.weight, self.texts, self.aspects = config.text.weight, texts, aspects
        self.tower = build_tower(config.text, dim, torch_seed(config.seed, "text")).to(device)
        self.codes = torch.tensor(texts.codes, device=device)

    def parameters(self) -> list[Tensor]:
        """The tower's weights."""
        return list(self.tower.parameters())

    def add(
        self, losses: Mapping[str, Tensor], features: Tensor, known: Known, codes: Tensor
    ) -> dict[str, Tensor]:
        """Add the loss of texts to that of slices.

        Args:
            losses: ``loss``, that of slices.
            features: (V, R, A, D) of the whole batch's readable videos.
            known: of these videos.
            codes: (V,) which text each has; -1: none.

        Returns:
            ``loss``, the weighted sum, and ``text_loss``, that of texts without its weight.
        """
        there = present(known.has_audio, self.aspects)
        numbers = (column.repeat_interleave(features.shape[1]) for column in (known.video, codes))
        text_loss = self.loss(Described(features.flatten(0, 1), there.flatten(0, 1), *numbers))
        return {"loss": losses["loss"] + self.weight * text_loss, "text_loss": text_loss}

    def loss(self, slices: Described) -> Tensor:
        """The loss of a step, without its weight; 0 where no two texts can be told apart.

        Args:
            slices: of the whole batch.
        """
        different = torch.unique(slices.code[slices.code >= 0])
        if not len(different):
            return slices.features.sum() * 0
        embedded = self.tower([self.texts.different[code] for code in different.tolist()])
        return contrast_texts(slices, embedded, different, self.tower.temperature)

    def set_gradients(self, gradients: Sequence[Tensor | None], fabric: Fabric) -> None:
        """Give the tower its gradients: the mean over processes, which differ at most in rounding.

        Args:
            gradients: of :meth:`parameters`; None where the loss does not depend on one.
            fabric: the processes, all of which call it.
        """
        for weight, gradient in zip(self.parameters(), gradients, strict=True):
            weight.grad = None if gradient is None else gather(fabric, gradient[None].contiguous()).mean(0)


def contrast_texts(
    slices: Described, embedded: Tensor, different: Tensor, temperature: Tensor | float
) -> Tensor:
    """InfoNCE from slices to texts and from texts to slices, their mean, averaged over aspects.

    Equal texts are one: each slice has its text as its positive, each text the slices of all videos that have
    it. Texts and slices of the same file are never negatives of each other. What has nothing to be told from
    is left out, and so is an aspect under which nothing is left. See :func:`.loss.info_nce`.

    Args:
        slices: n of them.
        embedded: (U, D) the different texts.
        different: (U,) their codes.
        temperature: divisor of the cosines, above 0.

    Returns:
        The scalar loss; 0 where nothing can be compared.

    References:
        Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021.
        Yang et al., Unified Contrastive Learning in Image-Text-Label Space, 2022, for equal texts.
    """
    has_text = slices.code[:, None] == different
    same_file = slices.video[:, None] == slices.video
    negatives = (same_file.float() @ has_text.float()) == 0
    losses = []
    for aspect in range(slices.features.shape[1]):
        rows = slices.present[:, aspect] & (slices.code >= 0)
        features = slices.features[rows, aspect]
        positives, others = has_text[rows], negatives[rows]
        losses += one_way(features, embedded, positives, others, temperature)
        losses += one_way(embedded, features, positives.T, others.T, temperature)
    return torch.stack(losses).mean() if losses else slices.features.sum() * 0


def one_way(
    queries: Tensor, keys: Tensor, positives: Tensor, negatives: Tensor, temperature: Tensor | float
) -> list[Tensor]:
    """The loss of the queries that have both positives and negatives; empty where none has."""
    asked = positives.any(1) & negatives.any(1)
    if not bool(asked.any()):
        return []
    return [info_nce(queries[asked], keys, positives[asked], negatives[asked], temperature)]
