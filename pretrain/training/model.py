"""The network that a run trains, and its optimiser."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self, cast

import torch
from lightly.models.modules import BarlowTwinsProjectionHead, SimCLRProjectionHead
from torch import Tensor, nn

from sora_video.base.errors import ConfigError
from sora_video.base.randomness import torch_seed
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.sections import OptimConfig
from sora_video.pretrain.encoders.layers import freeze, is_frozen, layers_above
from sora_video.pretrain.encoders.registry import Encoder, build_encoder
from sora_video.pretrain.encoders.streams import FrameTrunk, SliceEncoder, SliceFeatures, TrunkFeatures
from sora_video.pretrain.encoders.whitening import unwhitened

from .aspects import compared, present
from .tasks.task import Task, make_tasks

__all__ = ["Columns", "Contrastive", "check_order", "make_optimizer"]


class Columns(NamedTuple):
    """The last axis of a network's outputs, taken apart."""

    projections: Tensor
    """(..., A, ``loss.projection_dim``)"""
    features: Tensor
    """(..., A, D) of the encoder where texts are learnt; (..., A, 0) elsewhere"""
    tasks: dict[str, Tensor]
    """(..., width) of each task"""


class Contrastive(nn.Module):
    """An encoder with the heads that training needs and embedding does not: a projection, and those of tasks.

    Its features are not whitened: that is fitted to them in the end.

    Args:
        config: the encoder, the widths of the head, the tasks, and the seed of their weights.
        weights: the encoder's state to start from; None: random weights.

    Raises:
        ConfigError: ``encoder.freeze`` is more than the network has parts, features are to be kept of frames
            that are not all that a frozen network sees, the network does not take local views, or a task
            lacks what it needs.
    """

    def __init__(self, config: PretrainConfig, weights: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        plain, seed = unwhitened(config.encoder), torch_seed(config.seed, "encoder")
        self.encoder: Encoder = build_encoder(plain, seed)
        if weights is not None:
            self.encoder.load_state_dict(weights)
        self.frozen = freeze(self.encoder, config.encoder.freeze)
        self.aspects = compared(config.loss, self.encoder.aspect_names)
        self.gives_features = config.text.is_learnt
        self.kept = frozen_frames(self.encoder, config) if config.augment.kept_views else None
        if config.augment.local_views:
            check_local_views(self.encoder, config)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(config.seed, "projection"))
            self.projection = make_head(self.encoder.dim, config)
            self.stream_projections = nn.ModuleList(
                make_head(span.end - span.start, config)
                for span in self.encoder.spans
                if span.name in self.aspects
            )
        self.tasks = nn.ModuleDict(make_tasks(config, self.encoder))
        features = self.encoder.dim if self.gives_features else 0
        self.widths = [config.loss.projection_dim, features, *(task.width for task in self.learnt.values())]
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Go to training or evaluation mode; frozen modules stay in evaluation mode.

        Args:
            mode: whether to train.
        """
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def forward(
        self,
        clips: Tensor,
        lengths: Tensor,
        sound: Tensor,
        has_audio: Tensor,
        *,
        projections_alone: bool = False,
    ) -> Tensor:
        """Project slices under each aspect that is compared.

        Args:
            clips: (N, 3, T, H, W) float in [0, 1], or (N, T, D) kept features of frames.
            lengths: (N,) how many frames of each are there.
            sound: (N, S) samples in [-1, 1]; S is 0 where there is none.
            has_audio: (N,) bool, whether there is sound.
            projections_alone: leave out all other columns.

        Returns:
            (N, A, ``loss.projection_dim``) projections; where texts are learnt, the D features of the
            encoder, whose space texts share, follow in the last axis, and then the columns of each task under
            the first aspect, zero under others. :meth:`columns` takes them apart.
        """
        if self.kept:
            over_time = TrunkFeatures(*self.kept[0].over_time(clips, lengths))
            features = SliceFeatures(over_time.features, over_time.attention, over_time.features[:, None])
        else:
            features = self.encoder(clips, lengths, sound if sound.shape[1] else None, has_audio)
        aspects = features.aspects[:, : len(self.aspects)]
        rows = self.project(aspects, present(has_audio, self.aspects))
        if projections_alone:
            return rows
        further = [aspects] if self.gives_features else []
        for task in self.learnt.values():
            columns = task(features, lengths)[:, None]
            further.append(nn.functional.pad(columns, (0, 0, 0, aspects.shape[1] - 1)))
        return torch.cat([rows, *further], dim=2) if further else rows

    @property
    def learnt(self) -> dict[str, Task]:
        """The tasks by name."""
        return {name: cast("Task", task) for name, task in self.tasks.items()}

    def columns(self, outputs: Tensor) -> Columns:
        """Take the last axis of outputs apart.

        Args:
            outputs: (..., A, D') that :meth:`forward` gave.
        """
        projections, features, *others = torch.split(outputs, self.widths, dim=-1)
        of_tasks = (columns[..., 0, :] for columns in others)
        return Columns(projections, features, dict(zip(self.learnt, of_tasks, strict=True)))

    def project(self, aspects: Tensor, there: Tensor) -> Tensor:
        """Project aspects, those of two streams by a head each.

        The others have one head and are normalised together; those of slices without audio are left out, and
        zero.

        Args:
            aspects: (N, A, D).
            there: (N, A) bool, which aspects slices have.

        Returns:
            (N, A, ``loss.projection_dim``).
        """
        if self.stream_projections:
            parts = zip(self.stream_projections, self.encoder.spans, aspects.unbind(1)[1:], strict=True)
            alone = [head(aspect[:, span.start : span.end]) for head, span, aspect in parts]
            return torch.stack([self.projection(aspects[:, 0]), *alone], dim=1)
        projected: Tensor = self.projection(aspects[there])
        return projected.new_zeros((*there.shape, projected.shape[1])).index_put((there,), projected)


def make_head(dim: int, config: PretrainConfig) -> nn.Module:
    """A projection head of three layers with batch norms between them, and at the end if the method wants it.

    Args:
        dim: of its input.
        config: its widths, and the method.
    """
    widths = (dim, config.loss.projection_hidden, config.loss.projection_dim)
    if config.method.head_ends_in_norm:
        normalised: nn.Module = SimCLRProjectionHead(*widths, num_layers=3)
        return normalised
    plain: nn.Module = BarlowTwinsProjectionHead(*widths)
    # VICReg does not see the last bias, so that it would drift by rounding
    plain.get_submodule("layers.6").register_parameter("bias", None)
    return plain


def frozen_frames(encoder: Encoder, config: PretrainConfig) -> list[FrameTrunk]:
    """The one trunk whose features of frames can be kept; in a list, as it is a module of the encoder.

    Raises:
        ConfigError: the encoder has another stream or sound, or its network over frames learns.
    """
    trunks = list(encoder.trunks.values()) if isinstance(encoder, SliceEncoder) else []
    kept = [trunk for trunk in trunks if isinstance(trunk, FrameTrunk) and is_frozen(trunk.frame)]
    if len(kept) != 1 or config.encoder.input != "rgb":
        raise ConfigError(
            f"augment.kept_views={config.augment.kept_views}: needs a frozen network over frames, "
            "encoder.input=rgb and no sound, as in encoder.name=sora "
            "encoder.frame=package:efficientnet_lite0; or use 0"
        )
    return kept


def check_local_views(encoder: Encoder, config: PretrainConfig) -> None:
    """Try a local view.

    Raises:
        ConfigError: the network does not take clips of such a size or length.
    """
    size, frames = config.augment.local_size, config.augment.local_frames or config.slice.frames
    encoder.eval()
    try:
        with torch.no_grad():
            encoder(torch.zeros(1, 3, frames, size, size))
    except (ConfigError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"augment.local_views={config.augment.local_views}: {config.encoder.name} does not take views of "
            f"{frames} frames of {size} x {size}; change augment.local_size or augment.local_frames, or "
            "use augment.local_views=0"
        ) from error


def check_order(model: Contrastive, config: PretrainConfig) -> None:
    """Try a slice in the orders of ``loss.intra``, before a network has learnt.

    Args:
        model: with the weights that it starts from.
        config: the settings of the run.

    Raises:
        ConfigError: it is the same to the network in another order.
    """
    kind, size = config.loss.intra, config.augment.size
    if kind == "none":
        return
    weight = next(model.encoder.parameters())
    clip = torch.rand(1, 3, config.slice.frames, size, size, generator=torch.Generator().manual_seed(0))
    clip = clip.to(weight)
    altered = {"reverse": clip.flip(2), "shuffle": clip.roll(1, 2)}
    embed = model.eval().encoder.forward  # which is not compiled
    with torch.no_grad():
        features = embed(clip).features
        others = [embed(altered[name]).features for name in altered if kind in (name, "either")]
    model.train()
    if any(torch.allclose(features, other, rtol=1e-4, atol=1e-6) for other in others):
        raise ConfigError(
            f"loss.intra={kind}: {config.encoder.name} embeds a slice and the same in such an order alike; "
            "use none, or a network that tells them apart"
        )


def make_optimizer(model: nn.Module, config: OptimConfig, *others: nn.Module) -> torch.optim.Optimizer:
    """AdamW without decay on biases and norms, and without frozen weights.

    With ``layer_decay`` d, the part of a trunk with n layers above it learns at a rate of d^n times that of
    the projection head (after Bao et al., BEiT: BERT Pre-Training of Image Transformers, 2021, and He et al.,
    Masked Autoencoders Are Scalable Vision Learners, 2021).

    Args:
        model: an encoder with a head.
        config: rate and decays.
        others: networks that learn beside it, at the full rate.

    Returns:
        The optimiser; each of its groups has the factor d^n as its ``scale``.
    """
    groups = [group for network in (model, *others) for group in parameter_groups(network, config)]
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def parameter_groups(model: nn.Module, config: OptimConfig) -> Iterator[dict[str, Any]]:
    """Weights that share a learning rate and a decay, those of the first parts first."""
    above = layers_above(model)
    scales = {weight: config.layer_decay ** above.get(weight, 0) for weight in model.parameters()}
    for scale in sorted(set(scales.values())):
        learnt = [weight for weight in scales if scales[weight] == scale and weight.requires_grad]
        for decay, chosen in (
            (config.weight_decay, [weight for weight in learnt if weight.ndim > 1]),
            (0.0, [weight for weight in learnt if weight.ndim <= 1]),
        ):
            if chosen:
                yield {"params": chosen, "weight_decay": decay, "scale": scale}
