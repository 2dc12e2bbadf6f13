"""How views are made of slices: a section of the config of a run."""

from typing import Annotated

from pydantic import Field, model_validator

from .section import Fraction, Section

__all__ = ["MOST_OVERLAYS", "AugmentConfig"]

MOST_OVERLAYS = 4
"""Rectangles that cover parts of a view."""
MOST_OF_RANGES = {
    "crop_area": 100.0,
    "crop_aspect": 100.0,
    "blur_sigma": 100.0,
    "local_area": 100.0,
    "overlay_area": 1.0,
    "border_width": 0.45,
    "compress_size": 1.0,
    "compress_quality": 100.0,
    "tubelet_size": 1.0,
}
"""What the greatest number of a range of views may be."""


class AugmentConfig(Section):
    """How a view is made from a slice: one draw per view, the same for all of its frames."""

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
    """Probability of conversion to greyscale."""
    blur: Fraction = 0.5
    """Probability of Gaussian blur."""
    blur_sigma: tuple[float, float] = (0.1, 1.0)
    """Least and greatest standard deviation of the blur, in pixels of the view."""
    overlay: Fraction = 0.0
    """Probability that rectangles cover parts of the view, as captions and logos do."""
    overlay_count: Annotated[int, Field(ge=1, le=MOST_OVERLAYS)] = 3
    """Most of such rectangles; from 1."""
    overlay_area: tuple[Fraction, Fraction] = (0.005, 0.1)
    """Least and greatest area of each of them, as a fraction of the view."""
    border: Fraction = 0.0
    """Probability of two bars of one shade of grey, above and below or left and right."""
    border_width: tuple[Fraction, Fraction] = (0.05, 0.2)
    """Least and greatest width of each bar, as a fraction of the view."""
    compress: Fraction = 0.0
    """Probability of compression with the faults of a video of low rate: lost detail, blocks and ringing."""
    compress_size: tuple[Fraction, Fraction] = (0.7, 1.0)
    """Least and greatest side of the picture that is compressed, as a fraction of the view's; the view is
    scaled down to it and up again."""
    compress_quality: tuple[float, float] = (4.0, 30.0)
    """Least and greatest quality, on JPEG's scale from 1 to 100."""
    tubelet: Fraction = 0.0
    """Probability that patches of its own frames move through all slices of a video: cut out at the same
    place, and pasted along the same path, in each of them, before its view is made (Thoker et al.,
    Tubelet-Contrastive Self-Supervision for Video-Efficient Generalization, 2023)."""
    tubelet_size: tuple[Fraction, Fraction] = (0.2, 0.5)
    """Least and greatest height of a patch, as a fraction of the frame's; drawn at both ends of its path."""
    tubelet_turn: Annotated[float, Field(ge=0, le=0.5)] = 0.25
    """Greatest rotation of a patch at both ends of its path, in turns."""
    sound_gain_db: Annotated[float, Field(ge=0)] = 6.0
    """Greatest change of loudness, in decibels."""
    sound_band: Fraction = 0.25
    """Greatest part of the mel scale that is silenced."""
    sound_gap: Fraction = 0.25
    """Greatest part of the slice's time that is silenced."""
    local_views: Annotated[int, Field(ge=0, le=32)] = 0
    """Further views of each video in every step, small and perhaps short, that learn to be near its whole
    slices; 0: none. They are not compared with each other, and have no sound."""
    local_size: Annotated[int, Field(ge=16, le=2048)] = 32
    """Side of a local view in pixels."""
    local_area: tuple[Fraction, Fraction] = (0.05, 0.25)
    """Least and greatest area of the crop of a local view, as a fraction of the frame."""
    local_frames: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Frames of a local view, from a time within its slice; null: all of the slice."""
    kept_views: Annotated[int, Field(ge=0, le=64)] = 0
    """With a frozen network over frames: so many fixed views of every video are made once, the features of
    their frames are kept on disk, and each view draws one of them; 0: views are made of pixels each time."""
    playback: Annotated[int, Field(ge=1, le=16)] | None = None
    """Most times that a slice may play faster; drawn among the powers of two from 1 that its video is long
    enough for. Null: 2 for kept views, 1 for others."""
    reverse: Fraction = 0.0
    """Probability that a slice plays backwards."""

    @property
    def rates(self) -> tuple[int, ...]:
        """How many times faster slices may play, rising from 1."""
        fastest = self.playback or (2 if self.kept_views else 1)
        return tuple(2**power for power in range(fastest.bit_length()))

    @model_validator(mode="after")
    def _ranges_rise(self) -> "AugmentConfig":
        for name in ("local_size", "local_area", "local_frames") if self.local_views == 0 else ():
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"augment.{name}={getattr(self, name)}: needs augment.local_views above 0")
        if self.local_views and self.kept_views:
            raise ValueError(
                f"augment.local_views={self.local_views}: are made of pixels, and augment.kept_views keeps "
                "features of whole views alone; use 0 for one of them"
            )
        for name, most in MOST_OF_RANGES.items():
            low, high = getattr(self, name)
            if not 0 < low <= high <= most:
                raise ValueError(
                    f"augment.{name}=[{low}, {high}]: must be two rising numbers above 0, at most {most:g}"
                )
        if self.tubelet and self.kept_views:
            raise ValueError(
                f"augment.tubelet={self.tubelet}: needs augment.kept_views=0, since features are kept of "
                "frames without patches"
            )
        return self
