"""Which negatives count how much, by how alike their videos were when they were last seen."""

from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import normalize

from sora_video.configs.section import Fraction, Section

from .aspects import Aspects, Negatives, all_alike

__all__ = ["NegativesConfig", "RunningVideos"]

MOMENTUM = 0.5
"""Weight of a video's running embedding when it is seen again, once an epoch; more would remember a network
that has changed since."""
ROUNDING = 1e-6
"""Of a cosine; the two of one pair, asked from either side, are to be ignored together."""


class NegativesConfig(Section):
    """How negatives are chosen and weighted; by default all count alike."""

    ignore: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Fraction of a step's pairs of videos, the most alike, that are no negatives of each other: they may
    show the same scene."""
    hardness: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Of negatives whose videos are alike: they weigh exp(hardness * similarity / loss.temperature), relative
    to the mean of a slice's negatives."""
    warmup: Fraction = 0.1
    """Fraction of the run before which all count alike, as a network that has learnt nothing cannot tell."""
    videos: Annotated[int, Field(ge=2, le=2**24)] = 2**14
    """Videos whose running embeddings are kept, 4 bytes a dimension of the projections each. In a corpus of
    more, those that were not among the last to be seen count as never seen."""

    @property
    def all_alike(self) -> bool:
        """Whether all negatives count alike, so that no running embeddings are needed."""
        return self.ignore == self.hardness == 0

    @model_validator(mode="after")
    def _settings_of_weights_need_weights(self) -> "NegativesConfig":
        for name in ("warmup", "videos") if self.all_alike else ():
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"method.negatives.{name}={getattr(self, name)}: needs method.negatives.ignore or "
                    "method.negatives.hardness above 0"
                )
        return self


class RunningVideos(nn.Module):
    """Running embeddings of the videos that were seen last, in a table of fixed size.

    A video's row is its number modulo the rows; of two that share one, the table knows the one seen last.
    Pairs of which one is not known are neither ignored nor weighted.

    Args:
        config: how negatives are chosen, and how many rows there are.
        dim: D of the projections.
        temperature: divisor of the similarities, above 0.

    References:
        Huynh et al., Boosting Contrastive Self-Supervised Learning with False Negative Cancellation, 2022.
        Robinson et al., Contrastive Learning with Hard Negative Samples, 2021.
    """

    embedding: Tensor
    video: Tensor

    def __init__(self, config: NegativesConfig, dim: int, temperature: float) -> None:
        super().__init__()
        self.config, self.temperature, self.is_warm = config, temperature, False
        self.register_buffer("embedding", torch.zeros(config.videos, dim))
        self.register_buffer("video", torch.full((config.videos,), -1))

    def start(self, step: int, steps: int) -> None:
        """Start a step.

        Args:
            step: which one, from 0.
            steps: how many there are.
        """
        self.is_warm = step >= self.config.warmup * steps

    @torch.no_grad()
    def choose(self, queries: Tensor, keys: Tensor) -> Negatives:
        """Which slices are negatives of which, and how much each counts.

        Args:
            queries: (n,) int64, videos of the slices that ask.
            keys: (m,) int64, videos of the others; -1: altered slices, which are negatives of all.
        """
        if not self.is_warm:
            return all_alike(queries, keys)
        asked, query_places = torch.unique(queries, return_inverse=True)
        others, key_places = torch.unique(keys, return_inverse=True)
        similarity, known = self.compare(asked, others)
        different = asked[:, None] != others
        ignored = most_alike(similarity, known & different, self.config.ignore)
        ignored &= (different & ~ignored).any(1, keepdim=True)  # a video keeps at least one
        similarity, known, chosen = (
            table[query_places][:, key_places] for table in (similarity, known, different & ~ignored)
        )
        if self.config.hardness == 0:
            return Negatives(chosen, None)
        exponents = similarity * (self.config.hardness / self.temperature)
        return Negatives(chosen, relative_to_mean(exponents, known & chosen))

    def compare(self, videos: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """(V, U) cosines of V videos' running embeddings and U others', and whether both are known."""
        rows, columns = (numbers % len(self.video) for numbers in (videos, others))
        known = (self.video[rows] == videos)[:, None] & (self.video[columns] == others) & (others >= 0)
        return self.embedding[rows] @ self.embedding[columns].T, known

    @torch.no_grad()
    def keep(self, slices: Aspects) -> None:
        """Move the running embeddings of a step's videos towards the mean of their slices.

        Args:
            slices: n of them with (n, D) projections; local views among them are ignored.
        """
        whole = slices.number >= 0
        projections, owners = slices.projections[whole].to(self.embedding), slices.video[whole]
        videos = torch.unique(owners)
        rows = videos % len(self.video)
        last = ~(rows[:, None] == rows).triu(1).any(1)  # of videos that share a row
        videos, rows = videos[last], rows[last]
        mine = (videos[:, None] == owners).to(self.embedding)
        means = normalize(mine @ normalize(projections, dim=1), dim=1)
        moved = normalize(means.lerp(self.embedding[rows], MOMENTUM), dim=1)
        self.embedding[rows] = torch.where((self.video[rows] == videos)[:, None], moved, means)
        self.video[rows] = videos


def most_alike(similarity: Tensor, pairs: Tensor, fraction: float) -> Tensor:
    """The most similar pairs.

    Args:
        similarity: of any shape.
        pairs: bool, which are asked about.
        fraction: of these, that are wanted; rounded down.

    Returns:
        Bool, as many as there are similarities; ties with the last one are included.
    """
    asked = similarity[pairs]
    wanted = int(fraction * len(asked))
    if wanted == 0:
        return torch.zeros_like(pairs)
    return pairs & (similarity >= asked.topk(wanted).values[-1] - ROUNDING)


def relative_to_mean(exponents: Tensor, counted: Tensor) -> Tensor:
    """Exponents whose exponentials have mean 1 in each row; 0 for what is not counted.

    Args:
        exponents: (n, m).
        counted: (n, m) bool.
    """
    total = exponents.masked_fill(~counted, -torch.inf).logsumexp(1, keepdim=True)
    mean = total - counted.sum(1, keepdim=True).to(exponents).log()
    return torch.where(counted, exponents - mean, 0)
