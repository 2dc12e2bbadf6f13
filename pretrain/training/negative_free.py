"""Learning without negatives: the slices of a video are pulled together, and the batch is kept spread out."""

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .aspects import Aspects, present
from .loss import precise
from .methods import Known, Method

__all__ = ["NegativeFree", "mean_over", "views_apart"]


class NegativeFree(Method):
    """Base of methods that measure how far slices of a video lie apart, and how badly videos are spread.

    Spread is measured over the first slices of all videos, over their second slices, and so on, so that no
    two slices of a video are pushed apart. Local views are pulled towards the slices, and spread like them.
    Projections are not normalised. Each aspect is compared as the terms of :func:`.aspects.make_terms` say;
    an aspect that a single video has cannot be spread, and is left out.
    """

    def loss(self, projections: Tensor, known: Known) -> Tensor:
        """The weighted sum over terms of distance within videos and of the mean spread of the two aspects.

        Args:
            projections: (V, R, A, D) of the whole batch's readable videos.
            known: of these videos.

        Returns:
            A scalar, float32 (float64 for float64 projections); 0 where nothing can be compared.
        """
        there = present(known.has_audio, self.aspects)
        slices = Aspects.of(precise(projections), there, known.video)
        every = self.with_local(slices, known)
        rows, wholes = ([part.where(n) for n in range(len(self.aspects))] for part in (every, slices))
        spreads = [self.spread(views) if (views := views_apart(part)) else None for part in rows]
        total = every.projections.sum() * 0
        for query, key, weight in self.terms:
            apart = self.distance(rows[query], wholes[key], within=query == key)
            spread, other = spreads[query], spreads[key]
            if apart is not None and spread is not None and other is not None:
                total = total + weight * (apart + (spread + other) / 2)
        return total

    @abstractmethod
    def distance(self, rows: Aspects, others: Aspects, *, within: bool) -> Tensor | None:
        """How far slices lie apart from others of their video, weighted.

        Args:
            rows: n slices and local views, with (n, D) projections.
            others: m slices with (m, D) projections, the same ones or those of another aspect.
            within: whether they are the same.

        Returns:
            A scalar; None where no two are of one video.
        """

    @abstractmethod
    def spread(self, views: Sequence[Tensor]) -> Tensor:
        """How badly videos are spread out, weighted.

        Args:
            views: see :func:`views_apart`.

        Returns:
            A scalar.
        """


def views_apart(rows: Aspects) -> list[Tensor]:
    """Projections grouped so that no group has two slices of a video: all first slices, all second ones, ...

    Args:
        rows: n slices with (n, D) projections.

    Returns:
        Groups of two or more, each (videos, D).
    """
    same = rows.video[:, None] == rows.video
    place = same.tril(-1).sum(1)  # how many slices of its video come before it
    groups = [rows.projections[place == number] for number in torch.unique(place).tolist()]
    return [group for group in groups if len(group) > 1]


def mean_over(views: Sequence[Tensor], measure: Callable[[Tensor], Tensor]) -> Tensor:
    """The mean of a measure, weighted by how many slices each group has.

    Args:
        views: groups of (videos, D) projections, one or more.
        measure: from such a group to a scalar.
    """
    slices = sum(len(view) for view in views)
    return torch.stack([measure(view) * (len(view) / slices) for view in views]).sum()
