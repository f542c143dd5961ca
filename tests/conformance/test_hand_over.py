"""Hand-over: a network of every space leaves as a Python file without palmette, as a program and as ONNX, unchanged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_spaces import SPACES
from torch import nn

from palmette.architecture import Architecture
from palmette.export.onnx import export_onnx
from palmette.export.program import export_program
from palmette.export.source import export_source
from palmette.export.weights import Card

CHECK = """
import sys, torch
sys.modules["palmette"] = None  # importing it would fail
from network import INPUT_SHAPE, load, normalised
inputs, expected = torch.load("inputs.pt", weights_only=True), torch.load("outputs.pt", weights_only=True)
with torch.no_grad():
    print(float((load("network.safetensors")(inputs) - expected).abs().max()))
assert normalised(torch.zeros(1, *INPUT_SHAPE, dtype=torch.uint8)).shape == (1, *INPUT_SHAPE)
"""


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
    save_file(
        {key: value.contiguous() for key, value in network.state_dict().items()}, tmp_path / "network.safetensors"
    )
    inputs = torch.randn(3, *shape)
    torch.save(inputs, tmp_path / "inputs.pt")
    torch.save(network(inputs).detach(), tmp_path / "outputs.pt")
    alone = [sys.executable, "-c", CHECK]  # another process, in which palmette cannot be imported
    done = subprocess.run(alone, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-5
