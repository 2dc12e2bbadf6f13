"""The sections of a pretraining run's config that no other part adds settings to."""

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from .section import Fraction, Section

__all__ = [
    "CheckpointConfig",
    "DataConfig",
    "GuardConfig",
    "InitConfig",
    "LossConfig",
    "OptimConfig",
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
