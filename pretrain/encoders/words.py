"""What embeds texts in the space of an encoder's slices."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from sora_video.base.errors import ConfigError

__all__ = ["Words", "check_texts", "without_words"]

SOME = (
    "hf:laion/CLIP-ViT-B-32-laion2B-s34B-b79K, hf:google/siglip2-base-patch16-224, "
    "hf:microsoft/xclip-base-patch32 or open_clip:timm/ViT-B-16-SigLIP2"
)


class Words(ABC):
    """A text tower, with its tokenizer."""

    temperature: float
    """What cosines of slices and texts are divided by before a softmax, as the weights were trained."""

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Embed texts.

        Args:
            texts: n of them, at least one.

        Returns:
            (n, D) features, not normalised.
        """


def without_words(name: str) -> ConfigError:
    """The refusal of an encoder that has no text tower.

    Args:
        name: of the encoder.
    """
    return ConfigError(
        f"model {name}: has no text tower; name one that has, such as {SOME}, or a run with text.column"
    )


def check_texts(texts: Sequence[str]) -> list[str]:
    """Refuse texts that say nothing.

    Args:
        texts: to embed.

    Raises:
        ConfigError: there is none, or one is empty.
    """
    if isinstance(texts, str) or not texts or not all(text.strip() for text in texts):
        raise ConfigError(f"text {texts!r}: must be a list of texts, none of them empty")
    return list(texts)
