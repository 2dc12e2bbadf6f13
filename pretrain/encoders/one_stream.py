"""One of two streams as an encoder of its own."""

from .aspects import find_aspect
from .frozen import VideoEncoder
from .registry import build_encoder
from .streams import ASPECTS

__all__ = ["one_stream"]


def one_stream(encoder: VideoEncoder, aspect: str) -> VideoEncoder:
    """The network of look or of motion alone, with its weights and its whitening.

    Its embeddings are the aspect's span of the whole ones, and it computes nothing else. It has a fingerprint
    of its own and no text tower. With ``by``, an encoder stays in the space of the whole embedding.

    Args:
        encoder: a network of two streams.
        aspect: ``"look"`` or ``"motion"``.

    Raises:
        ConfigError: it does not keep such an aspect apart.
    """
    find_aspect(aspect, encoder.spans, f"model {encoder.spec}" if encoder.spec else "the encoder")
    (stream,) = (stream for stream, name in ASPECTS.items() if name == aspect)
    config = encoder.config
    every = config.encoder.look_every if aspect == "look" else 1
    one = config.encoder.model_copy(update={"input": stream, "look_every": every})
    without_text = config.text.model_copy(update={"column": None})
    config = config.model_copy(update={"encoder": one, "text": without_text})
    network, state = build_encoder(config.encoder, seed=0), encoder.network.state_dict()
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    return VideoEncoder(network, config, str(encoder.device))
