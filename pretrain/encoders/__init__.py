"""Networks that embed slices, chosen by name."""

from .costs import Cost, encoder_cost
from .registry import Encoder, build_encoder, names
from .streams import SliceEncoder, SliceFeatures

__all__ = ["Cost", "Encoder", "SliceEncoder", "SliceFeatures", "build_encoder", "encoder_cost", "names"]
