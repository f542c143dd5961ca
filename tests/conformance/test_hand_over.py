"""Hand-over: a network of every space leaves as a Python file without palmette, as a program and as ONNX, unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from test_spaces import SPACES
from torch import nn

from palmette.architecture import Architecture
from palmette.export.onnx import export_onnx
from palmette.export.program import export_program
from palmette.export.source import export_source
from palmette.export.weights import Card


def extracted(name: str) -> tuple[nn.Module, Architecture, tuple[int, int, int]]:
    """Return a random network of a space with weights and statistics that are not those of a new one."""
    space_of, shape = SPACES[name]
    space = space_of()
    architecture = space.decisions.sample(np.random.default_rng(1))
    torch.manual_seed(0)
    supernet = space.supernet(seed=1)
    for _ in range(2):
        supernet(torch.randn(4, *shape), space.choice(architecture))
    return space.extract(supernet.eval(), architecture), architecture, shape


IMAGES = [name for name, (_, shape) in SPACES.items() if len(shape) > 1]
"""Language models carry a state over time, for which there is no such form yet."""


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGES)
def test_every_form_of_a_network_gives_its_outputs(name: str, tmp_path: Path) -> None:
    network, architecture, shape = extracted(name)
    card = Card(architecture, "data", ("a", "b"), shape, (0.5,) * shape[0], (0.25,) * shape[0])
    assert export_source(network, tmp_path / "network.py", card) < 1e-5
    assert export_program(network, tmp_path / "network.pt2", shape) < 1e-5
    assert export_onnx(network, tmp_path / "network.onnx", shape) < 1e-5
