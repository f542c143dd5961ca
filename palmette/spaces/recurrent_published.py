"""Published recurrent cells as data, and the language models of their papers on Penn Treebank.

Parameters follow from the structure: 26 H^2 of ENAS's 12 nodes, 20 H^2 of 9 nodes, and H for each of 10,000 words once,
for the decoder uses the embedding again and has no bias. The ENAS paper says 24M of its model, which its released code
does not give: 22.0M at the code's 748 units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from palmette.blocks.language_model import Dropout, LanguageModel
from palmette.blocks.recurrent_cell import Cell, RecurrentLayer
from palmette.graphs import Graph
from palmette.spaces.recurrent_cell import cell_graph, read_cell

ENAS_ORDER = ("tanh", "relu", "identity", "sigmoid")
"""Ids of the activations in ENAS's first code (enas.md 2.2)."""
CORRECTED_ORDER = ("tanh", "relu", "sigmoid", "identity")
"""In its corrected code, which swaps the last two."""
WORDS = 10_000


@dataclass(frozen=True)
class Published:
    """A cell and the size it was reported at."""

    cell: Cell
    hidden: int
    source: str

    def graphs(self) -> list[Graph]:
        """Return the cell as it is drawn."""
        return [cell_graph(self.cell)]

    def network(self, words: int = WORDS) -> nn.Module:
        """Return the language model, without dropout."""
        layer = RecurrentLayer(self.cell, self.hidden, self.hidden)
        return LanguageModel(words, self.hidden, layer, dropout=Dropout())


def _darts(*nodes: tuple[str, int]) -> Cell:
    return Cell("tanh", tuple((previous, name) for name, previous in nodes), averages_all=True)


PUBLISHED: Mapping[str, Published] = {
    "enas-recurrent-cell": Published(
        read_cell("0 0 0 1 1 2 1 2 0 2 0 5 1 1 0 6 1 8 1 8 1 8 1", order=ENAS_ORDER),
        748,
        "Pham et al., 2018, and melodyguan/enas src/ptb (ptb_final)",
    ),
    "enas-corrected-cell": Published(
        read_cell("0 2 1 0 2 1 2 2 4 0 5 0 3 2 6 2", order=CORRECTED_ORDER, first="tanh"),
        800,
        "google-research/google-research enas_lm, its README; 850 units there on a TPU",
    ),
    "darts-recurrent-v1": Published(
        _darts(
            ("relu", 0), ("relu", 1), ("tanh", 2), ("relu", 3), ("relu", 4), ("identity", 1), ("relu", 5), ("relu", 1)
        ),
        850,
        "Liu et al., 2019, quark0/darts rnn/genotypes.py, DARTS_V1",
    ),
    "darts-recurrent-v2": Published(
        _darts(
            ("sigmoid", 0),
            ("relu", 1),
            ("relu", 1),
            ("identity", 1),
            ("tanh", 2),
            ("sigmoid", 5),
            ("tanh", 3),
            ("relu", 5),
        ),
        850,
        "Liu et al., 2019, quark0/darts rnn/genotypes.py, DARTS_V2",
    ),
}
