"""Language model: embedding, a recurrent layer, and a decoder that uses the embedding's weights again.

Dropout is variational: one mask for all time steps of a segment (Gal & Ghahramani, 2016), and whole words dropped from
the embedding. Weights are tied (Press & Wolf, 2017; Inan et al., 2017), and the decoder has no bias, as the published
sizes of ENAS's and DARTS's models have it.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import embedding, linear

from palmette.blocks.recurrent_cell import locked_mask
from palmette.errors import PalmetteError
from palmette.plain import Untraced
from palmette.sequences import Predicted


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """Drop rates of a language model, in the names of DARTS's recurrent settings."""

    words: float = 0.0
    """Of whole words, out of the embedding."""
    embedding: float = 0.0
    """Of the embedded words."""
    inputs: float = 0.0
    """Of the cell's input, on top of that."""
    hidden: float = 0.0
    """Of the states that the cell's nodes read."""
    outputs: float = 0.0
    """Of the cell's output, before the decoder."""

    def __post_init__(self) -> None:
        for name, rate in vars(self).items():
            if not 0 <= rate < 1:
                raise PalmetteError(f"dropout: {name} = {rate} was given; it must lie in [0, 1)")


class LanguageModel(Untraced):
    """Predict the next word at every position.

    Args:
        words: size of the vocabulary.
        hidden: units, of the embedding too.
        recurrent: ``(inputs [T, B, H], hidden [B, H] or None) -> states [T, B, H]``, or a slot for it.
        dropout: rates; those of the hidden states are the recurrent layer's own.
        init_range: of the embedding, uniform.
    """

    def __init__(
        self, words: int, hidden: int, recurrent: nn.Module, *, dropout: Dropout, init_range: float = 0.04
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, hidden)
        nn.init.uniform_(self.embedding.weight, -init_range, init_range)
        self.recurrent = recurrent
        self.dropout = dropout

    def forward(self, tokens: Tensor, hidden: Tensor | None = None) -> Predicted:
        """Return what follows each of ``tokens``, int64 ``[T, B]``, given the state before them."""
        x = embedding(tokens.long(), self._embedded_words())
        x = self._locked(self._locked(x, self.dropout.embedding), self.dropout.inputs)
        outputs = self.recurrent(x, hidden)
        dropped = self._locked(outputs, self.dropout.outputs)
        rows = dropped.reshape(-1, dropped.shape[-1])
        logits = linear(rows, self.embedding.weight).view(*dropped.shape[:2], -1)
        return Predicted(logits, outputs[-1], outputs, dropped)

    def _embedded_words(self) -> Tensor:
        weight = self.embedding.weight
        mask = locked_mask(weight[:, :1], self.dropout.words) if self.training else None
        return weight if mask is None else weight * mask

    def _locked(self, x: Tensor, rate: float) -> Tensor:
        mask = locked_mask(x[:1], rate) if self.training else None
        return x if mask is None else x * mask
