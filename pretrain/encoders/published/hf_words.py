"""Text towers of ``transformers``: CLIP, SigLIP 2 and X-CLIP."""

from collections.abc import Callable, Mapping, Sequence
from math import exp
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sora_video.base.errors import ConfigError, RunError

from ..words import Words
from .hf_families import hf_config, transformers_library
from .hub import check_tokenizer, read_tensors

__all__ = ["HFWords", "has_words"]


class Reader(NamedTuple):
    """How the texts of one family are embedded."""

    network: str
    """The class in ``transformers``."""
    embed: Callable[[Any, Mapping[str, Tensor]], Tensor]
    """From the network and tokens to (n, D)."""
    padding: str = "longest"
    lower_case: bool = False


READERS = {
    "clip": Reader("CLIPTextModelWithProjection", lambda net, tokens: net(**tokens).text_embeds),
    "siglip": Reader(
        "SiglipTextModel",
        lambda net, tokens: net(input_ids=tokens["input_ids"]).pooler_output,
        padding="max_length",
        lower_case=True,
    ),
    "xclip": Reader("XCLIPModel", lambda net, tokens: net.get_text_features(**tokens).pooler_output),
}
"""SigLIP was trained on lower-case texts padded to a fixed length, with no padding masked. X-CLIP adds to
texts what it sees in the one video that they are compared with, which a library cannot; it is left out."""


def has_words(architecture: Mapping[str, Any]) -> bool:
    """Whether an encoder has a text tower that is known here.

    Args:
        architecture: what its ``config.json`` holds.
    """
    return architecture.get("model_type") in READERS


class HFWords(Words):
    """The text tower beside an encoder of ``transformers``.

    Args:
        name: ``OWNER/NAME``.
        folder: has its files.
        architecture: what its ``config.json`` holds.

    Raises:
        ConfigError: the tokenizer is missing.
        RunError: the weights cannot be read, or one is missing.
    """

    def __init__(self, name: str, folder: Path, architecture: Mapping[str, Any]) -> None:
        spec, library = f"hf:{name}", transformers_library(f"hf:{name}")
        self.reader = READERS[architecture["model_type"]]
        self.length = hf_config(spec, architecture).text_config.max_position_embeddings
        check_tokenizer(folder, spec)
        try:
            self.tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            line = " ".join(str(error).split())
            raise ConfigError(
                f"model {spec}: its tokenizer cannot be read: {line}; fetch it again"
            ) from error
        self.network, report = getattr(library, self.reader.network).from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
        scale = read_tensors(folder, spec, "logit_scale")
        missing = sorted({"logit_scale"} - scale.keys() | set(report["missing_keys"]))
        if missing:
            raise RunError(f"model {spec}: weight {missing[0]} is missing; fetch it again")
        self.temperature = exp(-scale["logit_scale"].item())

    def embed(self, texts: Sequence[str]) -> Tensor:
        """See :meth:`Words.embed`."""
        written = [text.lower() if self.reader.lower_case else text for text in texts]
        tokens = self.tokenizer(
            written,
            padding=self.reader.padding,
            truncation=True,
            max_length=self.length,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        with torch.inference_mode():
            return self.reader.embed(self.network.eval(), tokens)
