"""The typed config of a pretraining run; unknown keys are refused."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from .augment import AugmentConfig
from .parts import EncoderConfig, MethodConfig, TextConfig
from .section import Fraction, Section
from .tasks import TaskConfig, resolve_tasks

__all__ = [
    "AugmentConfig",
    "CheckpointConfig",
    "DataConfig",
    "GuardConfig",
    "InitConfig",
    "LossConfig",
    "OptimConfig",
    "PretrainConfig",
    "SliceConfig",
    "TrackingConfig",
]


MOST_PIXELS = 4096
"""Of a side that a frame is scaled to."""


class SliceConfig(Section):
    """How a temporal slice is cut out of a video."""

    frames: Annotated[int, Field(ge=1, le=1024)] = 8
    """Frames per slice, T."""
    fps: Annotated[float, Field(ge=0.001, le=1000)] = 8.0
    """Frames per second of the slice's time grid, whatever the video's frame rate."""
    size: Annotated[int, Field(ge=16, le=2048)] = 64
    """Side in pixels of the square that every frame becomes."""
    resize: int | tuple[int, int] | None = None
    """What a frame is scaled to before its middle square of `size` is cut out. Null: to that square itself,
    whatever its aspect; one number: its short side to so many pixels, the aspect kept; two: to this height
    and width."""
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    """How pixels are scaled."""
    hop_s: Annotated[float, Field(ge=0.01)] | None = None
    """Seconds between the starts of neighbouring slices when embedding; null: they touch without overlap."""
    per_video: Annotated[int, Field(ge=2, le=8)] = 4
    """Slices drawn from each video of a training batch; every pair of them is a positive."""
    views: Annotated[int, Field(ge=1, le=8)] = 1
    """Views drawn of each of these slices, at the cost of one more slice each, but decoded once; they are
    positives like views of different slices."""
    max_gap_s: Annotated[float, Field(ge=0, le=1e6)] = 36.0
    """Most seconds between the start of the first slice drawn from a video and those of the others."""
    gap_power: Annotated[float, Field(ge=0, le=100)] = 0.0
    """How the gap is drawn: 0 uniformly, 1 linearly decreasing, p with a density that falls as (1-gap)^p."""

    @property
    def length_s(self) -> float:
        """Seconds that one slice spans."""
        return self.frames / self.fps

    @field_validator("resize", mode="wrap")
    @classmethod
    def _resize_is_one_number_or_two(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        try:
            return check(value)
        except ValidationError as error:
            raise ValueError(
                f"slice.resize={value}: must be null, one whole number of pixels for the short side, or two "
                "for height and width"
            ) from error

    @model_validator(mode="after")
    def _the_square_lies_within_the_resized_frame(self) -> "SliceConfig":
        if self.resize is None:
            return self
        sides = self.resize if isinstance(self.resize, tuple) else (self.resize,)
        if min(sides) < self.size:
            raise ValueError(
                f"slice.resize={self.resize}: is smaller than slice.size={self.size}, the square that is cut "
                "out; make it at least as large, or leave it out"
            )
        if max(sides) > MOST_PIXELS:
            raise ValueError(f"slice.resize={self.resize}: must be at most {MOST_PIXELS} pixels")
        return self


class LossConfig(Section):
    """The contrastive objective."""

    temperature: Annotated[float, Field(gt=0)] = 0.2
    """Divisor of the cosine similarities; vicreg and sigreg have none, and ignore it."""
    within: Annotated[float, Field(ge=0)] = 1.0
    """Of encoders with an audio branch: weight of sight against sight and of sound against sound; both
    together have weight 1."""
    cross: Annotated[float, Field(ge=0)] = 1.0
    """Of encoders with an audio branch: weight of sight against sound."""
    stream_within: Annotated[float, Field(ge=0)] = 1.0
    """Of encoder.input=both: weight of look against look and of motion against motion, each with a
    projection head of its own; both together have weight 1. 0 in stored runs that do not say."""
    stream_cross: Annotated[float, Field(ge=0)] = 0.0
    """Of encoder.input=both: weight of look against motion."""
    intra: Literal["none", "shuffle", "reverse", "either"] = "none"
    """Further negatives of every slice: slices of the batch, those of its own video among them, whose frames
    are shuffled, play backwards, or either of them with equal chance."""
    intra_slices: Annotated[int, Field(ge=1, le=8)] = 1
    """How many slices of each video are such negatives too; each costs one more pass through the network."""
    projection_hidden: Annotated[int, Field(ge=1, le=2**16)] = 512
    """Width of the hidden layers of the 3-layer projection head."""
    projection_dim: Annotated[int, Field(ge=1, le=2**16)] = 128
    """Output dimension of the projection head."""


class OptimConfig(Section):
    """AdamW with linear warm-up and cosine decay."""

    epochs: Annotated[int, Field(ge=1, le=10**6)] = 65
    """Passes over the corpus, less the rest of each pass that does not fill a batch."""
    batch_size: Annotated[int, Field(ge=2, le=2**16)] = 32
    """Videos per step, over all processes."""
    groups: Annotated[int, Field(ge=1, le=2**16)] | None = None
    """Parts of a batch that are computed and batch-normalised apart, spread evenly over the processes; more
    of them than processes save memory at the price of one more forward pass. The negatives are those of the
    whole batch, and the result does not depend on the number of processes. null: one per process."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Peak learning rate."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate of each part of the trunk for every part after it, so that the first parts
    of weights that others trained move least; 1: all learn alike."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    """Decoupled weight decay; not applied to biases and norms."""
    warmup_epochs: Annotated[float, Field(ge=0, le=1e6)] = 5
    """Epochs of linear warm-up."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of the forward and backward pass; auto: bf16 where the processor multiplies in it."""
    compile: bool = False
    """Compile the encoder with torch.compile."""


class GuardConfig(Section):
    """What happens when the loss or the gradient is not finite: the step is skipped."""

    max_skips: Annotated[int, Field(ge=1, le=10**6)] = 5
    """Steps skipped in a row before the run goes back to its last noted state at half the learning rate; see
    checkpoint.every_steps."""
    max_rollbacks: Annotated[int, Field(ge=0, le=1000)] = 3
    """Times that it goes back before the run ends in an error."""


class CheckpointConfig(Section):
    """States that a run is continued from, goes back to, and ends with."""

    every_s: Annotated[float, Field(gt=0)] = 60.0
    """Seconds between two states on the disk, to continue from."""
    every_steps: Annotated[int, Field(ge=1)] = 100
    """Steps between two states that are noted, to go back to and to choose the best from. They are counted
    in steps, so that a run that was stopped and continued goes back to the same state, and ends with the
    same, as one that was not."""
    keep: Annotated[int, Field(ge=1, le=1000)] = 2
    """How many of the newest states to continue from are kept."""
    final: Literal["last", "best"] = "last"
    """Which weights the run ends with; best: those of the noted state, or of the last step, with the least
    mean alignment plus uniformity loss over the steps before it."""


class DataConfig(Section):
    """How the corpus is read."""

    workers: Annotated[int, Field(ge=0, le=1024)] | None = None
    """Decoding processes; null: one per processor, at most 8. With 0 the process itself decodes, and a
    file that ends its decoder ends the run."""
    cache_gb: Annotated[float, Field(ge=0, le=1e6)] = 8.0
    """Disk space in the run folder for decoded frames, so that a small corpus is decoded only once; at most
    16 times what the videos take, or 2 GB where that is more."""
    keep_cache: bool = False
    """Whether these frames stay when the run stops or is finished."""
    frame_s: Annotated[float, Field(gt=0, le=1e6)] = 60.0
    """Most seconds that a decoding process may take for a frame; its file fails then."""
    video_s: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Most seconds that a file may take; null: ten minutes, and ten seconds more for each megabyte."""
    memory_mb: Annotated[int, Field(ge=64, le=2**24)] = 2048
    """Most memory in MB that a decoding process may take."""
    max_bad_fraction: Fraction = 0.1
    """Fraction of unreadable videos past which a run stops."""


class InitConfig(Section):
    """The weights that a run starts from, as `sora pretrain --init` writes it down."""

    spec: str
    """A run folder, or KIND:NAME of a published encoder."""
    fingerprint: str
    """Of the encoder that it names; another one is refused."""
    origin: str
    """Where its weights come from."""
    licence: str | None = None
    """Of the published weights that it goes back to; null: there are none."""


class TrackingConfig(Section):
    """Where metrics go beside log.jsonl, and what else is measured."""

    wandb: bool = False
    """Send metrics to Weights & Biases as well (offline with WANDB_MODE=offline)."""
    project: str = "sora-video"
    """Project name at Weights & Biases."""
    every: Annotated[int, Field(ge=1)] = 10
    """Steps between two lines of metrics."""
    monitor: str | None = None
    """A small labelled set to evaluate the run on: a corpus with labels, or a folder of class folders. The
    kNN accuracy on it (5 neighbours of other groups) is logged as knn, and map.png is drawn at the end."""
    monitor_every: Annotated[int, Field(ge=1)] = 5
    """Epochs between two evaluations, each of which decodes and embeds the set; the last is at the end."""


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
    def _few_frames_are_of_one_of_two_streams(self) -> "PretrainConfig":
        every = self.encoder.look_every
        if every > 1 and self.encoder.input != "both":
            raise ValueError(f"encoder.look_every={every}: needs encoder.input=both; use 1")
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
