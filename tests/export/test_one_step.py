"""A language model as one time step, and as a Python file that follows a text with it."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
from torch import nn

from palmette.architecture import Architecture
from palmette.blocks.language_model import Dropout, LanguageModel
from palmette.blocks.recurrent_cell import Cell, RecurrentLayer
from palmette.errors import PalmetteError
from palmette.export.example import portable
from palmette.export.one_step import OneStep
from palmette.export.source import export_source
from palmette.export.weights import Card, save_weights

WORDS = ("the", "cat", "sat", "<eos>")
CELLS = {
    "all activations": Cell("tanh", ((0, "relu"), (1, "sigmoid"), (0, "identity"))),
    "all nodes averaged": Cell("relu", ((0, "tanh"), (0, "relu")), averages_all=True),
    "one node": Cell("identity", ()),
}


def model(cell: Cell, *, highway: bool = True) -> LanguageModel:
    torch.manual_seed(0)
    layer = RecurrentLayer(cell, 6, 6, highway=highway, init_range=0.5)
    return LanguageModel(len(WORDS), 6, layer, dropout=Dropout(inputs=0.5), init_range=0.5).eval()


@pytest.mark.parametrize("highway", [True, False])
@pytest.mark.parametrize("name", CELLS)
def test_steps_after_one_another_are_the_language_model(name: str, highway: bool) -> None:
    network = model(CELLS[name], highway=highway)
    tokens = torch.randint(len(WORDS), (5, 3), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network(tokens)
        hidden, step = torch.zeros(3, 6), OneStep(network)
        for words, logits in zip(tokens, expected.logits, strict=True):
            scores, hidden = step(words, hidden)
            torch.testing.assert_close(scores, logits, atol=1e-6, rtol=0)
    torch.testing.assert_close(hidden, expected.hidden, atol=1e-6, rtol=0)
    assert step.state_dict().keys() == network.state_dict().keys()


def test_the_python_file_follows_a_text_as_the_language_model_does(tmp_path: Path) -> None:
    network = model(CELLS["all activations"])
    card = Card(Architecture("space", ()), "text", WORDS, (1,), (), ())
    save_weights(network, tmp_path / "network.safetensors", card)
    assert export_source(network, tmp_path / "step.py", card) < 1e-6
    assert "palmette" not in (tmp_path / "step.py").read_text().replace("palmette_card", "")
    there = runpy.run_path(str(tmp_path / "step.py"))
    loaded = there["load"](tmp_path / "network.safetensors")
    assert tuple(there["vocabulary"](tmp_path / "network.safetensors")) == WORDS
    tokens = torch.randint(len(WORDS), (7, 2), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole = network(tokens)
        _, hidden = there["follow"](loaded, tokens[:4])  # in two parts, with the state between them
        scores, hidden = there["follow"](loaded, tokens[4:], hidden)
    torch.testing.assert_close(scores, whole.logits[4:], atol=1e-6, rtol=0)
    torch.testing.assert_close(hidden, whole.hidden, atol=1e-6, rtol=0)


def test_a_supernet_of_language_models_has_no_form_of_one_step() -> None:
    network = LanguageModel(4, 6, nn.Identity(), dropout=Dropout())
    with pytest.raises(PalmetteError, match="a recurrent layer of type Identity has no form of one step"):
        portable(network, (1,))
