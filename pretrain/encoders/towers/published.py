"""A text tower of published weights, kept as it is, and a projection that learns."""

from collections.abc import Sequence

import torch
from pydantic import field_validator
from torch import Tensor, nn

from sora_video.base.errors import ConfigError
from sora_video.configs.parts import TextConfig

from ..published.load import load_published_words
from ..spec import absolute_spec, parse_spec
from .tower import TextTower

__all__ = ["Published", "PublishedConfig"]


class PublishedConfig(TextConfig):
    """Settings of published."""

    model: str
    """The published encoder whose texts are embedded, KIND:NAME or KIND:NAME@FOLDER."""

    @field_validator("model")
    @classmethod
    def _hold_in_any_folder(cls, model: str) -> str:
        return absolute_spec(model)


class Published(TextTower):
    """A frozen tower and a linear projection (after Zhai et al., LiT, 2022, with the roles exchanged).

    The features of a text are computed once and kept in memory.

    Args:
        config: names the weights.
        dim: D of the encoder.

    Raises:
        ConfigError: it is no single published encoder, has no text tower, or its weights are not here.
        RunError: its files are not those that were fetched.
    """

    settings = PublishedConfig

    def __init__(self, config: PublishedConfig, dim: int) -> None:
        super().__init__(config)
        part, *others = parse_spec(config.model)
        if others or part.run is not None or part.by:
            raise ConfigError(
                f"text.model={config.model}: must be one published encoder, KIND:NAME or KIND:NAME@FOLDER"
            )
        self.words, self.ancestor = load_published_words(part)
        self.known: dict[str, Tensor] = {}
        self.project = nn.Linear(self.features(["a"]).shape[1], dim)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """See :meth:`TextTower.forward`."""
        features: Tensor = self.project(self.features(texts).to(self.scale.device))
        return features

    def features(self, texts: Sequence[str]) -> Tensor:
        """(n, width) unit features of the frozen tower."""
        if new := sorted(set(texts) - self.known.keys()):
            embedded = nn.functional.normalize(self.words.embed(new).float(), dim=1)
            self.known |= dict(zip(new, embedded.clone(), strict=True))
        return torch.stack([self.known[text] for text in texts])
