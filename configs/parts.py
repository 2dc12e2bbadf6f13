"""Sections whose settings depend on the part that they name: ``encoder``, ``method`` and ``text``.

The registries say where each part is defined; the part's own file declares its settings. So a part is added
by one file and one line here, and a setting that a part does not have is refused.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from sora_video.base.registry import Registry

from .nested import refusal, split
from .section import Section

Positive = Annotated[float, Field(gt=0)]

__all__ = [
    "ENCODERS",
    "METHODS",
    "TOWERS",
    "EncoderConfig",
    "MethodConfig",
    "PartConfig",
    "TextConfig",
]

ENCODERS = Registry(
    "encoder.name",
    "sora_video.encoders",
    {
        "r3d_tiny": "sora_video.pretrain.encoders.r3d_tiny:R3DTiny",
        "sora": "sora_video.pretrain.encoders.sora:Sora",
        "sora_multiscale": "sora_video.pretrain.encoders.multiscale:SoraMultiscale",
        "r3d_18": "sora_video.pretrain.encoders.torchvision_nets:R3D18",
        "mc3_18": "sora_video.pretrain.encoders.torchvision_nets:MC318",
        "r2plus1d_18": "sora_video.pretrain.encoders.torchvision_nets:R2Plus1D18",
        "s3d": "sora_video.pretrain.encoders.torchvision_nets:S3DNet",
        "mvit_v2_s": "sora_video.pretrain.encoders.torchvision_nets:MViTV2S",
        "swin3d_t": "sora_video.pretrain.encoders.torchvision_nets:Swin3DT",
        "mvit_v1_b": "sora_video.pretrain.encoders.torchvision_nets:MViTV1B",
        "swin3d_s": "sora_video.pretrain.encoders.torchvision_nets:Swin3DS",
        "swin3d_b": "sora_video.pretrain.encoders.torchvision_nets:Swin3DB",
        "frames": "sora_video.pretrain.encoders.frames:Frames",
        "hf_video": "sora_video.pretrain.encoders.published.hf_nets:HFVideo",
        "sora_av": "sora_video.pretrain.encoders.sora_av:SoraAV",
    },
)
METHODS = Registry(
    "method.name",
    "sora_video.methods",
    {
        "simclr": "sora_video.pretrain.training.simclr:SimCLR",
        "moco": "sora_video.pretrain.training.moco:MoCo",
        "vicreg": "sora_video.pretrain.training.vicreg:VICReg",
        "sigreg": "sora_video.pretrain.training.sigreg:SIGReg",
    },
)

TOWERS = Registry(
    "text.name",
    "sora_video.towers",
    {
        "ngrams": "sora_video.pretrain.encoders.towers.ngrams:NGrams",
        "published": "sora_video.pretrain.encoders.towers.published:Published",
    },
)


class PartConfig(Section):
    """A section that names a part; a subclass has the settings of one part."""

    registry: ClassVar[Registry]
    spelt_out: ClassVar[Mapping[str, Any]] = {}
    """Settings that version 0.1.0 wrote for every part, with or without them, and their defaults."""

    name: str
    _unused: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def unused(self) -> Mapping[str, Any]:
        """Settings of a stored run that its part does not have."""
        return self._unused

    @classmethod
    def section(cls) -> str:
        """The section's name, such as ``"encoder"``."""
        return cls.registry.key.partition(".")[0]

    @classmethod
    def model_for(cls, values: Mapping[str, Any]) -> type[Self]:  # noqa: ARG003
        """The model that checks these values: this one, unless a part takes settings of another part.

        Args:
            values: the settings as given, by name.
        """
        return cls

    @classmethod
    def resolve(cls, values: Any, *, stored: bool = False) -> Any:
        """Check a section by the model of the part that it names.

        Args:
            values: the section as a mapping; anything else is returned as it is.
            stored: whether they are of a stored run, whose part need not have all of them.

        Returns:
            The settings, an instance of the part's model.

        Raises:
            ConfigError: no part has this name.
            ValueError: the part has no such setting, or its value is wrong.
        """
        if not isinstance(values, Mapping):
            return values
        name = values.get("name", cls.model_fields["name"].default)
        model = cls.registry.load(name).settings.model_for(values)
        settings, unused = split(values, model, cls.spelt_out)
        if unused and not stored:
            raise ValueError(refusal(cls.section(), name, unused, model))
        checked = model.model_validate({**settings, "name": name})
        if "name" not in values:
            checked.model_fields_set.discard("name")
        checked._unused = unused
        return checked

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a mapping: the model may be one that was made for a combination of parts."""
        return resolve_again, (type(self).base(), self.model_dump(), self._unused)

    @classmethod
    def base(cls) -> "type[PartConfig]":
        """The section's own model, which has no part's settings."""
        return next(model for model in cls.__mro__[::-1] if "registry" in vars(model))


def resolve_again(section: type[PartConfig], values: dict[str, Any], unused: dict[str, Any]) -> PartConfig:
    """The settings that :meth:`PartConfig.__reduce__` took apart."""
    settings: PartConfig = section.resolve(values)
    settings._unused = unused
    return settings


class EncoderConfig(PartConfig):
    """Which network embeds a slice. Part of the fingerprint."""

    registry = ENCODERS
    spelt_out: ClassVar[Mapping[str, Any]] = {
        "width": 16,
        "frame": "small",
        "time": {
            "cell": "lstm",
            "layers": 1,
            "bidirectional": False,
            "dropout": 0.0,
            "attention": "softmax",
            "mix": False,
        },
        "scales": {"kernels": [3, 5], "recurrent": True, "normalise": True, "transform": True},
        "av": {"visual": "r3d_tiny", "fusion": "concat", "dim": 128, "mels": 64},
    }
    has_audio: ClassVar[bool] = False
    """Whether the network has an audio branch."""
    of_training: ClassVar[frozenset[str]] = frozenset({"checkpoint", "freeze"})
    """Settings that decide how the network is trained, and not what it computes; not part of the
    fingerprint."""
    revision: ClassVar[int] = 1
    """Of what the network computes from the same weights; part of the fingerprint, and raised by a change."""
    needs_architecture: ClassVar[bool] = False
    """Whether only what comes with published weights says what the network is, so that it has no defaults."""

    name: str = "r3d_tiny"
    """Which network; ``sora encoders`` lists what they cost."""
    input: Literal["rgb", "residual", "both"] = "residual"
    """What the network sees: frames, differences of consecutive frames, or both in two streams."""
    look_every: Annotated[int, Field(ge=1, le=1024)] = 1
    """Of input=both: the stream of frames sees one of so many, which costs less; the other sees all."""
    mean: tuple[float, float, float] = (0.45, 0.45, 0.45)
    """Of each channel in [0, 1], subtracted from frames; published weights have their own."""
    std: tuple[Positive, Positive, Positive] = (0.225, 0.225, 0.225)
    """Of each channel, by which frames and their differences are divided."""
    whiten: Annotated[float, Field(ge=0, le=1)] = 0.0
    """When training ends, divide the features of each stream by this power of their spread over slices of the
    corpus, which are embedded once more for it; 0: leave them as they are, 1: make all spreads equal."""
    checkpoint: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time. Not part of the
    fingerprint."""
    freeze: Annotated[int, Field(ge=0)] | Literal["trunk"] = 0
    """What stays as it started, of a run that starts from weights (`--init`): so many of the trunk's first
    parts, or the whole trunk. Not part of the fingerprint."""

    @field_validator("freeze", mode="wrap")
    @classmethod
    def _freeze_is_a_number_or_all(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        try:
            return check(value)
        except ValidationError as error:
            raise ValueError(
                f"encoder.freeze={value}: must be a number of parts, 0 for none, or `trunk` for all"
            ) from error


class MethodConfig(PartConfig):
    """What a slice is compared with, and by which loss."""

    registry = METHODS
    spelt_out: ClassVar[Mapping[str, Any]] = {"momentum": 0.99, "queue": 4096, "shuffle": True}
    takes_intra: ClassVar[bool] = False
    """Whether the loss has negatives, slices in another order (``loss.intra``) among them."""
    takes_local: ClassVar[bool] = False
    """Whether the loss compares local views (``augment.local_views``)."""
    negatives_needed: ClassVar[bool] = True
    """Whether slices are told from those of other videos; else spans of one file are enough to learn from."""
    head_ends_in_norm: ClassVar[bool] = True
    """Whether the projection head ends in a batch norm; wrong where the loss is to decide the spread."""
    against_collapse: ClassVar[str] = "loss.temperature or optim.batch_size"
    """What to raise when all embeddings become alike."""

    name: str = "simclr"
    """simclr: the other slices of a batch; moco: those of a momentum encoder, and a queue of older ones;
    vicreg, sigreg: no negatives, but a batch that is kept spread out."""


class TextConfig(PartConfig):
    """Texts of the corpus, and the tower that learns to embed them beside the encoder."""

    registry = TOWERS

    name: str = "ngrams"
    """ngrams: words by their groups of characters, from random weights; published: a tower of published
    weights, of which a projection learns."""
    column: str | None = None
    """Column of the manifest that has the texts; null: no text is learnt. Rows where it is empty are ignored
    by the loss of texts."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Of slices against texts, beside slices against slices; 0: no text is learnt."""
    temperature: Annotated[float, Field(ge=0.01, le=100)] = 0.07
    """Divisor of the cosines of slices and texts at the start; it is learnt, and stays at least 0.01."""

    @property
    def is_learnt(self) -> bool:
        """Whether a tower learns."""
        return self.column is not None and self.weight > 0

    @model_validator(mode="after")
    def _a_tower_needs_texts(self) -> "TextConfig":
        if self.column is not None or self.weight == 0:
            return self
        for name, field in type(self).model_fields.items():
            if getattr(self, name) != field.default:
                raise ValueError(
                    f"text.{name}={getattr(self, name)}: needs text.column, the column of the manifest that "
                    "has the texts"
                )
        return self
