"""Networks that embed slices, chosen by name."""

from .registry import build_encoder, names
from .streams import SliceEncoder, SliceFeatures

__all__ = ["SliceEncoder", "SliceFeatures", "build_encoder", "names"]
