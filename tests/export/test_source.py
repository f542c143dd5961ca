"""The Python file of a network: readable, equal, and honest about what it cannot tell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.blocks.shuffle import shuffle_block
from palmette.errors import PalmetteError
from palmette.export.source import export_source, python_source
from palmette.export.weights import Card
from palmette.plain import plain

CHECK = """
import sys, torch
sys.modules["palmette"] = None  # importing it would fail
from network import INPUT_SHAPE, load, normalised
inputs, expected = torch.load("inputs.pt", weights_only=True), torch.load("outputs.pt", weights_only=True)
with torch.no_grad():
    print(float((load("network.safetensors")(inputs) - expected).abs().max()))
assert normalised(torch.zeros(1, *INPUT_SHAPE, dtype=torch.uint8)).shape == (1, *INPUT_SHAPE)
"""

CARD = Card(Architecture("s", (("a", "b"),)), "data", ("x",), (4, 6, 6), (0.5,) * 4, (0.2,) * 4)


class Doubled(nn.Module):
    """A module of the user's: a parameter, a constant and a slice."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([2.0]))
        self.register_buffer("shift", torch.tensor([[1.0], [3.0]]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x[:, ::2] * self.scale + self.shift[:, None]
        return out


def test_layers_are_written_without_their_defaults_and_blocks_as_classes() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), plain(shuffle_block(4, 4, kernel=3, inner=8)))
    text = python_source(network, CARD)
    assert "nn.Conv2d(4, 4, kernel_size=3, padding=1, bias=False)," in text
    forward = text[text.index("class Shuffle(Parts)") :].split("\n\n\n")[0].splitlines()
    assert forward[1:] == [
        "    def forward(self, x):",
        "        getitem = x[:, ::2]",
        "        getitem_1 = x[:, 1::2]",
        "        main = self.main(getitem_1)",
        "        return torch.cat([getitem, main], 1)",
    ]
    assert "palmette" not in text


def test_a_module_of_the_users_keeps_its_tensors(tmp_path: Path) -> None:
    network = nn.Sequential(Doubled(), nn.Flatten())
    nn.init.constant_(network[0].scale, 5.0)
    assert export_source(network, tmp_path / "network.py", CARD) == 0
    text = (tmp_path / "network.py").read_text()
    assert "nn.Parameter(torch.empty(1))" in text
    assert "nn.Buffer(torch.tensor([[1.0], [3.0]], dtype=torch.float32), persistent=False)" in text


def test_what_cannot_be_told_is_refused_by_name(tmp_path: Path) -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(PalmetteError, match=r"network\.0: Branching cannot be traced .* use ONNX or a program"):
        export_source(nn.Sequential(Branching()), tmp_path / "network.py", CARD)
    assert not list(tmp_path.iterdir())


def test_the_file_alone_loads_the_weights_in_a_process_without_palmette(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), plain(shuffle_block(4, 4, kernel=3, inner=8))).eval()
    export_source(network, tmp_path / "network.py", CARD)
    save_file(network.state_dict(), tmp_path / "network.safetensors")
    inputs = torch.randn(3, 4, 6, 6)
    torch.save(inputs, tmp_path / "inputs.pt")
    torch.save(network(inputs).detach(), tmp_path / "outputs.pt")
    alone = [sys.executable, "-c", CHECK]
    done = subprocess.run(alone, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-6


def test_a_file_name_that_python_cannot_import_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PalmetteError, match=r"my-net\.py: Python cannot import a file of that name"):
        export_source(nn.Identity(), tmp_path / "my-net.py", CARD)
