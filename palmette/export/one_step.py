"""One step: a language model as the network of a single time step, which is what other runtimes can hold.

Its parameters have the names that they have in the language model, so the weights of one fit the other.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import linear

from palmette.blocks.language_model import LanguageModel
from palmette.blocks.recurrent_cell import RecurrentLayer, next_state
from palmette.errors import PalmetteError


class OneStep(nn.Module):
    """Read a word of every stream; without dropout, so for evaluation only.

    Raises:
        PalmetteError: a language model whose recurrent layer is not one cell.
    """

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        if not isinstance(model.recurrent, RecurrentLayer):
            raise PalmetteError(
                f"a recurrent layer of type {type(model.recurrent).__name__} has no form of one step; "
                "extract the model of one architecture first"
            )
        self.embedding = model.embedding
        self.recurrent = model.recurrent
        self.is_gated = model.recurrent.is_gated

    def forward(self, tokens: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores ``[B, V]`` of the next word and the next state ``[B, H]``, for words ``[B]`` and a state."""
        layer = self.recurrent
        product = self.embedding(tokens) @ layer.input_weight + hidden @ layer.hidden_weight
        nodes = [layer.node_weights[i] for i in range(len(layer.cell.nodes))]
        hidden = next_state(layer.cell, product, hidden, nodes, is_gated=self.is_gated)
        return linear(hidden, self.embedding.weight), hidden
