"""What the Sora encoders do over time: a recurrent network, and attention over its states."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sora_video.configs.section import Section

__all__ = ["AttentionPool", "Recurrent", "TimeConfig"]


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


class Recurrent(nn.Module):
    """LSTM or GRU, read forwards or both ways.

    Hochreiter & Schmidhuber, Long Short-Term Memory, 1997; Cho et al., Learning Phrase Representations using
    RNN Encoder-Decoder for Statistical Machine Translation, 2014.

    Args:
        inputs: features of a moment.
        states: numbers that each direction keeps.
        config: cell, layers, directions and dropout.
    """

    def __init__(self, inputs: int, states: int, config: TimeConfig) -> None:
        super().__init__()
        self.dim = states * (2 if config.bidirectional else 1)
        cell = nn.LSTM if config.cell == "lstm" else nn.GRU
        between = config.dropout if config.layers > 1 else 0.0
        self.cells = cell(
            inputs,
            states,
            config.layers,
            batch_first=True,
            dropout=between,
            bidirectional=config.bidirectional,
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, features: Tensor, lengths: Tensor | None) -> Tensor:
        """(N, T, D) features to (N, T, ``dim``) states; padding does not change those of real moments.

        Args:
            features: in time order.
            lengths: (N,) how many moments of each are real, at least one; None: all.
        """
        if lengths is None or not self.cells.bidirectional:
            states, _ = self.cells(features)
        else:  # reading backwards starts at the last real moment
            packed = pack_padded_sequence(features, lengths.cpu(), batch_first=True, enforce_sorted=False)
            states, _ = pad_packed_sequence(
                self.cells(packed)[0], batch_first=True, total_length=features.shape[1]
            )
        dropped: Tensor = self.dropout(states)
        return dropped


class AttentionPool(nn.Module):
    """The mean of states, weighted by a small network's score of each.

    Lin et al., A Structured Self-attentive Sentence Embedding, 2017.

    Args:
        dim: numbers of a state.
        weighing: ``"softmax"`` over time, or ``"sigmoid"`` gates, divided by their sum.
    """

    def __init__(self, dim: int, weighing: str) -> None:
        super().__init__()
        self.weighing = weighing
        self.score = nn.Sequential(nn.Linear(dim, dim // 2), nn.Tanh(), nn.Linear(dim // 2, 1))

    def forward(self, states: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """(N, T, D) states to their (N, D) means and (N, T) weights, which sum to 1.

        Args:
            states: in time order.
            lengths: (N,) how many moments of each are real, at least one; None: all. Others have weight 0.
        """
        scores = self.score(states).squeeze(2).float()
        if self.weighing == "sigmoid":
            scores = nn.functional.logsigmoid(scores)  # whose softmax is gates divided by their sum
        if lengths is not None:
            moments = torch.arange(states.shape[1], device=states.device)
            scores = scores.masked_fill(moments >= lengths[:, None], -torch.inf)
        weights = scores.softmax(1)
        return torch.einsum("ntd,nt->nd", states.float(), weights), weights
