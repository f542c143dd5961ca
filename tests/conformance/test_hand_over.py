"""Hand-over: a network of every space leaves as a Python file without palmette, as a program and as ONNX, unchanged.

One random architecture of each space that the command line offers, and one RegNet. Images are small, for networks are
what is handed over; where a space repeats its layers and takes their number as an argument, there are fewer of them.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.onnx._internal.exporter import _registration

from palmette.architecture import Architecture
from palmette.cli.names import SPACES
from palmette.errors import StorageError
from palmette.export.apart import Reader, reading
from palmette.export.onnx import export_onnx
from palmette.export.program import export_program, traced
from palmette.export.source import export_source
from palmette.export.weights import Card
from palmette.plain import plain
from palmette.space import Space
from palmette.spaces.anynet import anynet
from palmette.spaces.darts import CIFAR, darts_space
from palmette.spaces.enas_macro import enas_macro
from palmette.spaces.enas_micro import Network as MicroNetwork
from palmette.spaces.enas_micro import enas_micro
from palmette.spaces.fbnet import Macro, fbnet
from palmette.spaces.nas_bench_201 import nas_bench_201
from palmette.spaces.proxyless import proxyless
from palmette.spaces.regnet import published_regnets

WORDS = 10
DRAWS = 20
FEW_STAGES = Macro(stages=((24, 3, 2), (40, 1, 1)))
FEW_OF_DARTS = dataclasses.replace(CIFAR, cells=3)
FEW_CELLS = MicroNetwork(cells=3, filters=8)
FEWER: Mapping[str, Callable[[int, int], Space]] = {
    "nas-bench-201": lambda classes, channels: nas_bench_201(classes=classes, channels=channels, cells=1),
    "fbnet": lambda classes, channels: fbnet(classes=classes, channels=channels, macro=FEW_STAGES),
    "fbnet-small": lambda classes, channels: fbnet(classes=classes, channels=channels, macro=FEW_STAGES),
    "proxyless": lambda classes, channels: proxyless(classes=classes, channels=channels, stages=FEW_STAGES.stages),
    "proxyless-small": lambda classes, channels: proxyless(
        classes=classes, channels=channels, stages=FEW_STAGES.stages
    ),
    "darts": lambda classes, channels: darts_space("darts", FEW_OF_DARTS, classes=classes, channels=channels),
    "darts-imagenet": lambda classes, channels: darts_space(
        "darts-imagenet", dataclasses.replace(FEW_OF_DARTS, stem="imagenet"), classes=classes, channels=channels
    ),
    "enas-macro": lambda classes, channels: enas_macro(classes=classes, channels=channels, layers=6),
    "enas-micro": lambda classes, channels: enas_micro(classes=classes, channels=channels, searched=FEW_CELLS),
}
SMALLEST = {"voxels": 16, "images": 32}
"""Sides that every network of a kind can take."""


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with reading() as started:
        yield started


@pytest.fixture(scope="module", autouse=True)
def operators_of_onnx_are_read_once() -> Iterator[None]:
    """Keep the table that torch reads from the source of 500 functions for every file; it depends on nothing."""
    with pytest.MonkeyPatch.context() as patch:
        read = functools.cache(_registration.ONNXRegistry.from_torchlib)
        patch.setattr(_registration.ONNXRegistry, "from_torchlib", staticmethod(read))
        yield


def some(shape: tuple[int, ...], count: int) -> Tensor:
    """Return inputs of a space; of language models, streams of one word."""
    generator = torch.Generator().manual_seed(0)
    if len(shape) == 1:
        return torch.randint(WORDS, (1, count), generator=generator)
    return torch.randn(count, *shape, generator=generator)


def random_network(name: str) -> tuple[nn.Module, Architecture, tuple[int, ...]]:
    """Return a random network of a space with statistics that are not those of a new one."""
    entry = SPACES[name]
    channels, *sides = entry.input_shape
    side = SMALLEST["voxels" if len(sides) == 3 else "images"]
    shape = (channels, *(min(s, side) for s in sides))
    space = FEWER.get(name, entry.build)(WORDS, channels).stand_alone
    generator = np.random.default_rng(1)
    drawn = [space.decisions.sample(generator) for _ in range(DRAWS)]
    architecture = min(drawn, key=lambda one: len(one.values))  # under a grammar some are twice as large as others
    return plain(calibrated(space.build(architecture, seed=0), shape)), architecture, shape


def calibrated(network: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Return the network in evaluation mode, its statistics half those of a batch and half those of a new network.

    With a tenth of the batch's, a deep network has outputs above 100, where neighbouring numbers of single precision
    are further apart than what is allowed here; with all of it, channels that were off in these few images blow up.
    """
    norms = [module for module in network.modules() if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d))]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.5
    with torch.no_grad():
        network(some(shape, 4))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return network.eval()


def hand_over(
    network: nn.Module, architecture: Architecture, shape: tuple[int, ...], folder: Path, reader: Reader
) -> None:
    """Write every form, and assert that each gives the outputs of the network."""
    channels = shape[0] if len(shape) > 1 else 0
    card = Card(architecture, "data", ("a", "b"), shape, (0.5,) * channels, (0.25,) * channels)
    program = traced(network, shape)
    assert export_source(network, folder / "network.py", card, reader=reader) < 1e-5
    assert "class GraphModule" not in (folder / "network.py").read_text()  # blocks keep their names
    assert export_program(network, folder / "network.pt2", shape, program=program, reader=reader) < 1e-5
    assert export_onnx(network, folder / "network.onnx", shape, program=program) < 1e-5


@pytest.fixture(autouse=True)
def rubbish_is_collected_once() -> Iterator[None]:
    """Tracing makes so many objects that looking for dead ones in between takes a tenth of the time."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_every_form_of_a_random_network_gives_its_outputs(name: str, tmp_path: Path, reader: Reader) -> None:
    hand_over(*random_network(name), tmp_path, reader)


@pytest.mark.slow
def test_every_form_of_a_regnet_gives_its_outputs(tmp_path: Path, reader: Reader) -> None:
    network = calibrated(anynet(published_regnets()["RegNetY-200MF"], seed=0), (3, 32, 32))
    hand_over(plain(network), Architecture("regnet", ()), (3, 32, 32), tmp_path, reader)


def test_a_reader_tells_files_of_one_name_apart_and_knows_no_palmette(tmp_path: Path, reader: Reader) -> None:
    file, identity = tmp_path / "network.py", nn.Identity()
    inputs = (torch.tensor([[1.0, 2.0]]),)
    load = "import network as file; network = file.network"
    for added in (0.0, 3.0):
        file.write_text(f"print('hello')\ndef network(x):\n    return x + {added}\n")
        assert reader.largest_difference(file, load, identity, inputs) == added
    file.write_text("import palmette\n")
    with pytest.raises(StorageError, match=r"cannot be used \(ModuleNotFoundError: import of palmette halted"):
        reader.largest_difference(file, load, identity, inputs)
    file.write_text("import os\nos._exit(1)\n")
    with reading() as own, pytest.raises(StorageError, match="the process that read it has ended"):
        own.largest_difference(file, load, identity, inputs)
