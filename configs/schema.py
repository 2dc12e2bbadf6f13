"""The typed config of a pretraining run; unknown keys are refused."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationInfo,
    model_validator,
)

from .augment import AugmentConfig
from .parts import EncoderConfig, MethodConfig, TextConfig
from .section import Section
from .sections import (
    CheckpointConfig,
    DataConfig,
    GuardConfig,
    InitConfig,
    LossConfig,
    OptimConfig,
    SliceConfig,
    TrackingConfig,
)
from .tasks import TaskConfig, resolve_tasks

__all__ = ["PretrainConfig"]


def resolve_encoder(values: Any, info: ValidationInfo) -> Any:
    """The ``encoder`` section as the settings of the network that it names."""
    return EncoderConfig.resolve(values, stored=is_stored(info))


def resolve_method(values: Any, info: ValidationInfo) -> Any:
    """The ``method`` section as the settings of the method that it names."""
    return MethodConfig.resolve(values, stored=is_stored(info))


def resolve_text(values: Any, info: ValidationInfo) -> Any:
    """The ``text`` section as the settings of the tower that it names."""
    return TextConfig.resolve(values, stored=is_stored(info))


def is_stored(info: ValidationInfo) -> bool:
    """Whether a stored run's config is read, see :func:`sora_video.configs.loader.load_config`."""
    return bool(info.context and info.context.get("stored"))


class PretrainConfig(Section):
    """All settings of ``sora pretrain``."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Every random choice is a function of this seed, the epoch and the sample."""
    slice: SliceConfig = SliceConfig()
    augment: AugmentConfig = AugmentConfig()
    encoder: Annotated[SerializeAsAny[EncoderConfig], BeforeValidator(resolve_encoder)] = Field(
        default_factory=lambda: EncoderConfig.resolve({})
    )
    init: InitConfig | None = None
    """The weights that the encoder starts from; null: random ones."""
    method: Annotated[SerializeAsAny[MethodConfig], BeforeValidator(resolve_method)] = Field(
        default_factory=lambda: MethodConfig.resolve({})
    )
    text: Annotated[SerializeAsAny[TextConfig], BeforeValidator(resolve_text)] = Field(
        default_factory=lambda: TextConfig.resolve({})
    )
    tasks: Annotated[dict[str, SerializeAsAny[TaskConfig]], BeforeValidator(resolve_tasks)] = Field(
        default_factory=dict
    )
    """Objectives that are learnt beside the contrastive one, by name: rate, order, local; none by default."""
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    guard: GuardConfig = GuardConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    data: DataConfig = DataConfig()
    tracking: TrackingConfig = TrackingConfig()

    @model_validator(mode="before")
    @classmethod
    def _older_runs_played_pixels_as_they_are(cls, values: Any, info: ValidationInfo) -> Any:
        """Configs from before there were tasks spell out rate and order, which only kept views had."""
        augment = values.get("augment") if isinstance(values, Mapping) else None
        if not isinstance(augment, Mapping) or "tasks" in values or augment.get("kept_views"):
            return values
        if is_stored(info):
            return {**values, "augment": without_playback(augment)}
        if augment.get("playback") == 2 and values.keys() >= SECTIONS_OF_RUNS:
            raise ValueError(
                "augment.playback=2: an older version wrote this config.yaml, in which it meant kept views "
                "alone; leave it out, or add `tasks: {}` to play slices up to twice as fast"
            )
        return values

    @model_validator(mode="after")
    def _kept_slices_have_one_view(self) -> "PretrainConfig":
        if self.augment.kept_views and self.slice.views > 1:
            raise ValueError(
                f"slice.views={self.slice.views}: are made of pixels, and augment.kept_views="
                f"{self.augment.kept_views} keeps features of whole views; use slice.views=1 or "
                "augment.kept_views=0"
            )
        return self

    @model_validator(mode="after")
    def _sound_is_played_as_it_is(self) -> "PretrainConfig":
        if not self.encoder.has_audio or self.augment.kept_views:
            return self
        for name, plain in (("playback", self.augment.rates == (1,)), ("reverse", self.augment.reverse == 0)):
            if not plain:
                raise ValueError(
                    f"augment.{name}={getattr(self.augment, name)}: {self.encoder.name} has an audio branch, "
                    "and sound is played neither faster nor backwards; leave it out"
                )
        return self

    @model_validator(mode="before")
    @classmethod
    def _older_runs_compare_both_streams_together(cls, values: Any, info: ValidationInfo) -> Any:
        loss = values.get("loss") or {} if isinstance(values, Mapping) else None
        if not is_stored(info) or not isinstance(loss, Mapping) or "stream_within" in loss:
            return values
        return {**values, "loss": {**loss, "stream_within": 0.0}}

    @model_validator(mode="after")
    def _differences_need_two_frames(self) -> "PretrainConfig":
        if self.encoder.input != "rgb" and self.slice.frames < 2:
            raise ValueError(
                f"slice.frames={self.slice.frames}: must be at least 2 for encoder.input={self.encoder.input}"
            )
        return self

    @model_validator(mode="after")
    def _few_frames_are_of_look(self) -> "PretrainConfig":
        every = self.encoder.look_every
        if every > 1 and self.encoder.input == "residual":
            raise ValueError(f"encoder.look_every={every}: needs encoder.input=both, or rgb; use 1")
        if every > self.slice.frames:
            raise ValueError(f"encoder.look_every={every}: must be at most slice.frames={self.slice.frames}")
        return self

    @model_validator(mode="after")
    def _whitening_is_of_sight_alone(self) -> "PretrainConfig":
        if self.encoder.whiten and (self.encoder.has_audio or self.text.is_learnt):
            why = f"{self.encoder.name} has an audio branch" if self.encoder.has_audio else "texts are learnt"
            raise ValueError(
                f"encoder.whiten={self.encoder.whiten}: {why}, whose space it would leave; use 0"
            )
        return self

    @model_validator(mode="after")
    def _negatives_within_a_video_need_an_order(self) -> "PretrainConfig":
        kind, count = self.loss.intra, self.loss.intra_slices
        if kind == "none":
            if count != 1:
                raise ValueError(f"loss.intra_slices={count}: needs loss.intra, such as shuffle")
            return self
        if not self.method.takes_intra:
            raise ValueError(f"loss.intra={kind}: {self.method.name} has no such negatives; use none")
        if count > self.slice.per_video:
            raise ValueError(
                f"loss.intra_slices={count}: must be at most slice.per_video={self.slice.per_video}"
            )
        if self.slice.frames < 2:
            raise ValueError(f"loss.intra={kind}: needs slices of 2 or more frames; use none")
        if kind != "shuffle" and self.augment.reverse > 0:
            raise ValueError(
                f"loss.intra={kind}: augment.reverse={self.augment.reverse} makes slices that play backwards "
                "positives; use shuffle, or augment.reverse=0"
            )
        return self

    @model_validator(mode="after")
    def _local_views_are_of_slices(self) -> "PretrainConfig":
        count, frames = self.augment.local_views, self.augment.local_frames
        if count and not self.method.takes_local:
            raise ValueError(f"augment.local_views={count}: {self.method.name} does not compare them; use 0")
        if frames and frames > self.slice.frames:
            raise ValueError(
                f"augment.local_frames={frames}: must be at most slice.frames={self.slice.frames}"
            )
        if frames == 1 and self.encoder.input != "rgb":
            raise ValueError(
                f"augment.local_frames=1: must be at least 2 for encoder.input={self.encoder.input}"
            )
        return self

    @model_validator(mode="after")
    def _settings_of_sound_need_an_audio_branch(self, info: ValidationInfo) -> "PretrainConfig":
        if self.encoder.has_audio or is_stored(info):
            return self
        for section, name in SOUND:
            values = getattr(self, section)
            if getattr(values, name) != type(values).model_fields[name].default:
                raise ValueError(
                    f"{section}.{name}={getattr(values, name)}: {self.encoder.name} has no audio branch; "
                    "leave it out, or train encoder.name=sora_av"
                )
        return self

    @model_validator(mode="after")
    def _streams_of_their_own_need_both(self, info: ValidationInfo) -> "PretrainConfig":
        if is_stored(info) or (self.encoder.input == "both" and not self.encoder.has_audio):
            return self
        for name in ("stream_within", "stream_cross"):
            if (value := getattr(self.loss, name)) != LossConfig.model_fields[name].default:
                raise ValueError(
                    f"loss.{name}={value}: needs encoder.input=both of an encoder without an audio branch; "
                    "leave it out"
                )
        return self


def without_playback(augment: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of views, but for rate and order of playback."""
    return {name: value for name, value in augment.items() if name not in ("playback", "reverse")}


SECTIONS_OF_RUNS = {"slice", "augment", "encoder", "method", "loss", "optim", "guard", "checkpoint", "data"}
"""That every run's config.yaml spells out."""
SOUND = (
    ("loss", "within"),
    ("loss", "cross"),
    ("augment", "sound_gain_db"),
    ("augment", "sound_band"),
    ("augment", "sound_gap"),
)
"""Settings that only encoders with an audio branch have."""
