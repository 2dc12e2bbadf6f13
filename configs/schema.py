"""The typed config of a pretraining run; unknown keys are refused."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "AVConfig",
    "AugmentConfig",
    "CheckpointConfig",
    "DataConfig",
    "EncoderConfig",
    "EncoderName",
    "GuardConfig",
    "LossConfig",
    "MethodConfig",
    "OptimConfig",
    "PretrainConfig",
    "ScalesConfig",
    "SliceConfig",
    "TimeConfig",
    "TrackingConfig",
    "VisualName",
]

Fraction = Annotated[float, Field(ge=0, le=1)]
VisualName = Literal[
    "r3d_tiny",
    "sora",
    "sora_multiscale",
    "r3d_18",
    "mc3_18",
    "r2plus1d_18",
    "s3d",
    "mvit_v2_s",
    "swin3d_t",
]  # spelt out, since the registry of networks imports torch; a test holds the two together
EncoderName = Literal[VisualName, "sora_av"]


class Section(BaseModel):
    """A frozen group of settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SliceConfig(Section):
    """How a temporal slice is cut out of a video."""

    frames: Annotated[int, Field(ge=1, le=1024)] = 8
    """Frames a slice, T."""
    fps: Annotated[float, Field(ge=0.001, le=1000)] = 8.0
    """Frames a second of the slice's own time grid, whatever the video's frame rate."""
    size: Annotated[int, Field(ge=16, le=2048)] = 64
    """Side in pixels of the square that every frame is decoded to."""
    hop_s: Annotated[float, Field(ge=0.01)] | None = None
    """Seconds between the starts of neighbouring slices when embedding; null: they touch without overlap."""
    per_video: Annotated[int, Field(ge=2, le=8)] = 4
    """Slices drawn from each video of a training batch, R; every pair of them is a positive."""
    max_gap_s: Annotated[float, Field(ge=0, le=1e6)] = 36.0
    """Most seconds between the start of the first slice drawn from a video and those of the others."""
    gap_power: Annotated[float, Field(ge=0, le=100)] = 0.0
    """How the gap is drawn: 0 uniformly, 1 linearly decreasing, p with a density that falls as (1-gap)^p."""

    @property
    def length_s(self) -> float:
        """Seconds that one slice spans."""
        return self.frames / self.fps


class AugmentConfig(Section):
    """How a view is made from a slice: one draw a view, the same for all of its frames."""

    size: Annotated[int, Field(ge=16, le=2048)] = 56
    """Side of a view in pixels."""
    crop_area: tuple[Fraction, Fraction] = (0.2, 0.77)
    """Least and greatest area of the crop, as a fraction of the frame."""
    crop_aspect: tuple[float, float] = (0.75, 1.3333)
    """Least and greatest width-to-height ratio of the crop."""
    flip: Fraction = 0.5
    """Probability of a horizontal flip."""
    jitter: Fraction = 0.8
    """Probability of colour jitter."""
    brightness: Fraction = 0.4
    """Greatest relative change of brightness."""
    contrast: Fraction = 0.4
    """Greatest relative change of contrast."""
    saturation: Fraction = 0.4
    """Greatest relative change of saturation."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Greatest rotation of hue, in turns."""
    grey: Fraction = 0.2
    """Probability of losing all colour."""
    blur: Fraction = 0.5
    """Probability of Gaussian blur."""
    blur_sigma: tuple[float, float] = (0.1, 1.0)
    """Least and greatest standard deviation of the blur, in pixels of the view."""
    sound_gain_db: Annotated[float, Field(ge=0)] = 6.0
    """Greatest change of loudness, in decibels."""
    sound_band: Fraction = 0.25
    """Greatest part of the mel scale that is silenced."""
    sound_gap: Fraction = 0.25
    """Greatest part of the slice's time that is silenced."""

    @model_validator(mode="after")
    def _ranges_rise(self) -> "AugmentConfig":
        for name in ("crop_area", "crop_aspect", "blur_sigma"):
            low, high = getattr(self, name)
            if not 0 < low <= high <= 100:
                raise ValueError(
                    f"augment.{name}=[{low}, {high}]: must be two rising numbers above 0, at most 100"
                )
        return self


class TimeConfig(Section):
    """What the Sora encoders do with the features of successive frames."""

    cell: Literal["lstm", "gru"] = "lstm"
    """The recurrent network."""
    layers: Annotated[int, Field(ge=1, le=16)] = 1
    """Its layers."""
    bidirectional: bool = False
    """Whether it also reads backwards; its states have twice as many numbers then."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Fraction of each layer's states that is dropped while training."""
    attention: Literal["softmax", "sigmoid"] = "softmax"
    """How moments are weighed against each other: by a softmax over time, or by a gate each."""
    mix: bool = False
    """sora: blend the frames' own features into the states, by a learned share a channel."""


class ScalesConfig(Section):
    """The parallel 3D convolutions of sora_multiscale, and how they are fused."""

    kernels: Annotated[tuple[Annotated[int, Field(ge=1, le=15)], ...], Field(min_length=1, max_length=8)] = (
        3,
        5,
    )
    """Sides of the kernels, a branch each; odd."""
    recurrent: bool = True
    """Whether a recurrent network reads each branch over time."""
    normalise: bool = True
    """Whether the concatenated branches are layer-normalised."""
    transform: bool = True
    """Whether they are mixed by a linear layer then."""

    @model_validator(mode="after")
    def _kernels_are_odd(self) -> "ScalesConfig":
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(f"encoder.scales.kernels={list(self.kernels)}: must be odd")
        return self


class AVConfig(Section):
    """sora_av: sight, sound, and how they are fused."""

    visual: VisualName = "r3d_tiny"
    """The network that sees."""
    fusion: Literal["concat", "average", "weighted", "attention"] = "concat"
    """concat: side by side; average: their mean; weighted: by learned gates; attention: each attends to the
    other. What is missing takes no part."""
    dim: Annotated[int, Field(ge=8, le=8192, multiple_of=8)] = 128
    """Features of each sense before they are fused."""
    mels: Annotated[int, Field(ge=8, le=256)] = 64
    """Bands of the spectrogram."""


class EncoderConfig(Section):
    """Which network embeds a slice. Part of the fingerprint."""

    name: EncoderName = "r3d_tiny"
    """Which network; ``sora encoders`` lists what they cost."""
    input: Literal["rgb", "residual", "both"] = "residual"
    """What the network sees: frames, differences of consecutive frames, or both in two streams."""
    width: Annotated[int, Field(ge=4, le=1024)] = 16
    """Channels of the first stage of r3d_tiny and the Sora encoders; later stages double it."""
    frame: Literal["small", "resnet18"] = "small"
    """sora: the CNN that sees single frames, one of four strided convolutions or torchvision's ResNet-18."""
    time: TimeConfig = TimeConfig()
    scales: ScalesConfig = ScalesConfig()
    av: AVConfig = AVConfig()
    checkpoint: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time. Left out of the
    fingerprint."""

    @property
    def has_audio(self) -> bool:
        """Whether the network has an audio branch."""
        return self.name == "sora_av"


class MethodConfig(Section):
    """What a slice is compared with."""

    name: Literal["simclr", "moco"] = "simclr"
    """simclr: the other slices of a batch; moco: those of a momentum encoder, and a queue of older ones."""
    momentum: Fraction = 0.99
    """moco: weight of the old momentum encoder at the first step; it rises to 1 along a cosine."""
    queue: Annotated[int, Field(ge=0, le=2**22)] = 4096
    """moco: slices that the queue holds; it fills as the run goes, and only what it holds takes part."""
    shuffle: bool = True
    """moco: give the momentum encoder the batch's slices in another order, so that a slice and its positives
    are normalised with different ones; matters where optim.groups is above 1."""


class LossConfig(Section):
    """The contrastive objective."""

    temperature: Annotated[float, Field(gt=0)] = 0.2
    """Divisor of the cosine similarities."""
    within: Annotated[float, Field(ge=0)] = 1.0
    """sora_av: weight of sight against sight and of sound against sound; both together have weight 1."""
    cross: Annotated[float, Field(ge=0)] = 1.0
    """sora_av: weight of sight against sound."""
    projection_hidden: Annotated[int, Field(ge=1, le=2**16)] = 512
    """Width of the hidden layers of the 3-layer projection head."""
    projection_dim: Annotated[int, Field(ge=1, le=2**16)] = 128
    """Dimension that the loss sees."""


class OptimConfig(Section):
    """AdamW with linear warm-up and cosine decay."""

    epochs: Annotated[int, Field(ge=1, le=10**6)] = 65
    """Passes over the corpus, less the rest of each pass that does not fill a batch."""
    batch_size: Annotated[int, Field(ge=2, le=2**16)] = 32
    """Videos a step, over all processes."""
    groups: Annotated[int, Field(ge=1, le=2**16)] | None = None
    """Parts of a batch that are computed and batch-normalised apart, spread evenly over the processes; more
    of them than processes save memory at the price of one more forward pass. The negatives are those of the
    whole batch, and the result does not depend on the number of processes. null: one a process."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Peak learning rate."""
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
    """Reading of the corpus."""

    workers: Annotated[int, Field(ge=0, le=1024)] | None = None
    """Decoding processes; null: one a processor, at most 8."""
    cache_gb: Annotated[float, Field(ge=0, le=1e6)] = 8.0
    """Disk space in the run folder for decoded frames, so that a small corpus is decoded only once."""
    max_bad_fraction: Fraction = 0.1
    """Fraction of unreadable videos past which a run stops."""


class TrackingConfig(Section):
    """Where metrics go beside log.jsonl, and what else is measured."""

    wandb: bool = False
    """Send metrics to Weights & Biases as well (offline with WANDB_MODE=offline)."""
    project: str = "sora-video"
    """Project name there."""
    every: Annotated[int, Field(ge=1)] = 10
    """Steps between two lines of metrics."""
    monitor: str | None = None
    """A small set to judge a run by while it lasts: a corpus with labels, or a folder of class folders. The
    kNN accuracy on it (5 neighbours of other groups) is logged as knn, and map.png is drawn at the end."""
    monitor_every: Annotated[int, Field(ge=1)] = 5
    """Epochs between two looks at it, each of which decodes and embeds it; there is one at the end too."""


class PretrainConfig(Section):
    """All settings of ``sora pretrain``."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Every random choice is a function of this seed, the epoch and the sample."""
    slice: SliceConfig = SliceConfig()
    augment: AugmentConfig = AugmentConfig()
    encoder: EncoderConfig = EncoderConfig()
    method: MethodConfig = MethodConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    guard: GuardConfig = GuardConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    data: DataConfig = DataConfig()
    tracking: TrackingConfig = TrackingConfig()

    @model_validator(mode="after")
    def _differences_need_two_frames(self) -> "PretrainConfig":
        if self.encoder.input != "rgb" and self.slice.frames < 2:
            raise ValueError(
                f"slice.frames={self.slice.frames}: must be at least 2 for encoder.input={self.encoder.input}"
            )
        return self
