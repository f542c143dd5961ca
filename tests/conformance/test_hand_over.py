"""Hand-over: a network of every space leaves as a Python file without palmette, as a program and as ONNX, unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from test_spaces import SPACES, images
from torch import nn

from palmette.architecture import Architecture
from palmette.cli.space_builders import memory_bank_small
from palmette.export.onnx import export_onnx
from palmette.export.program import export_program
from palmette.export.source import export_source
from palmette.export.weights import Card
from palmette.plain import plain


def extracted(name: str) -> tuple[nn.Module, Architecture, tuple[int, ...]]:
    """Return a random network of a space with weights and statistics that are not those of a new one."""
    space_of, shape = SPACES[name]
    space = space_of()
    architecture = space.decisions.sample(np.random.default_rng(1))
    torch.manual_seed(0)
    supernet = space.supernet(seed=1)
    for _ in range(2):
        supernet(images(shape, 4), space.choice(architecture))
    return space.extract(supernet.eval(), architecture), architecture, shape


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_every_form_of_a_network_gives_its_outputs(name: str, tmp_path: Path) -> None:
    network, architecture, shape = extracted(name)
    channels = shape[0] if len(shape) > 1 else 0
    card = Card(architecture, "data", ("a", "b"), shape, (0.5,) * channels, (0.25,) * channels)
    assert export_source(network, tmp_path / "network.py", card) < 1e-5
    assert "class GraphModule" not in (tmp_path / "network.py").read_text()  # blocks keep their names
    assert export_program(network, tmp_path / "network.pt2", shape) < 1e-5
    assert export_onnx(network, tmp_path / "network.onnx", shape) < 1e-5


@pytest.mark.slow
def test_every_form_of_a_network_of_memory_banks_gives_its_outputs(tmp_path: Path) -> None:
    shape = (1, 8, 8)
    space = memory_bank_small(10, 1)
    architecture = space.decisions.sample(np.random.default_rng(1))
    network = space.build(architecture, seed=0)
    network(images(shape, 4))
    card = Card(architecture, "data", ("a", "b"), shape, (0.5,), (0.25,))
    network = plain(network.eval())
    assert export_source(network, tmp_path / "network.py", card) < 1e-5
    assert export_program(network, tmp_path / "network.pt2", shape) < 1e-5
    assert export_onnx(network, tmp_path / "network.onnx", shape) < 1e-5
