"""NAS-Bench-201: one small cell of six edges, repeated 15 times, with public accuracies of all 15,625 cells.

Dong & Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020, section 2;
gradient.md 11.9. A cell has four nodes, of which the first is its input and the last its output; every node is the sum
of its edges from all earlier ones, and an edge is one of five operations.

Different cells can be the same network: ``representative`` joins those that are, to the last multiplication and
parameter. The classes of the benchmark's authors are wider, because they take a convolution of zeros for zeros, which
with BatchNorm it is not, and its parameters for none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from palmette.architecture import Architecture, Value
from palmette.blocks.convolution import conv_bn
from palmette.blocks.residual import Residual
from palmette.decision import Equivalence
from palmette.errors import ArchitectureError
from palmette.partial_channels import ChannelsFactory, ChannelsOneOf
from palmette.space import Space

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
FREE = ("none", "skip_connect", "avg_pool_3x3")
"""Operations without parameters or multiplications, which make zeros of zeros."""
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""``(from, to)`` by node, in the order of the cell's string."""
NAMES = tuple(f"edge{source}{target}" for source, target in EDGES)

Operations = tuple[str, ...]
"""Of the six edges, in their order."""


def nas_bench_201(*, classes: int = 10, channels: int = 3, width: int = 16, cells: int = 5) -> Space:
    """Return the space; input ``[N, channels, 32, 32]`` in the benchmark, other sizes divisible by 4 work too.

    Args:
        classes: of images.
        channels: of images.
        width: channels of the first stage, doubled in each of the two others; 16 in the benchmark.
        cells: of each stage; 5 in the benchmark.
    """
    network = partial(_network, classes, channels, width, cells)
    space = Space(network, name="nas-bench-201", equivalences=[Equivalence(NAMES, representative)])
    space.decisions.notation = from_cell_string
    return space


def cell_string(architecture: Architecture) -> str:
    """Return the cell as the benchmark writes it: ``|a~0|+|b~0|c~1|+|d~0|e~1|f~2|``."""
    nodes = []
    for node in (1, 2, 3):
        edges = [f"{architecture[f'edge{source}{node}']}~{source}" for source in range(node)]
        nodes.append("|" + "|".join(edges) + "|")
    return "+".join(nodes)


def from_cell_string(text: str) -> dict[str, Value]:
    """Return the values of a cell in the benchmark's notation, for ``Decisions.architecture``.

    Raises:
        ArchitectureError: it is not such a cell.
    """
    edges = re.findall(r"([a-z0-9_]+)~(\d)", text)
    operations = tuple(operation for operation, _ in edges)
    written = "+".join(
        "|" + "".join(f"{operation}~{source}|" for operation, source in edges[start : start + count])
        for start, count in ((0, 1), (1, 2), (3, 3))
    )
    sources = [int(source) for _, source in edges]
    if text.strip() != written or sources != [source for source, _ in EDGES] or not set(operations) <= {*OPERATIONS}:
        raise ArchitectureError(
            f"space 'nas-bench-201': {text!r} is no cell; write |OP~0|+|OP~0|OP~1|+|OP~0|OP~1|OP~2| with OP one of "
            f"{', '.join(OPERATIONS)}"
        )
    return dict(zip(NAMES, operations, strict=True))


def representative(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return the first, in the order of ``OPERATIONS``, of the cells that build the same network as ``values``.

    Joined are cells that differ by the names of the middle nodes, by which of several equal nodes an edge starts from,
    and by parameter-free operations that change nothing: those on zeros, and those into nodes that nothing reads.
    """
    first = _without_idle(tuple(str(value) for value in values))
    seen, waiting = {first}, [first]
    while waiting:
        for other in map(_without_idle, _swapped(waiting.pop())):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return min(seen, key=lambda cell: [OPERATIONS.index(operation) for operation in cell])


def _without_idle(cell: Operations) -> Operations:
    """Return the cell with ``none`` for parameter-free operations that change nothing."""
    ops = dict(zip(EDGES, cell, strict=True))
    is_live = {3: True, 2: ops[2, 3] != "none"}
    is_live[1] = ops[1, 3] != "none" or (ops[1, 2] != "none" and is_live[2])
    for source, target in EDGES:
        is_zero = source > 0 and all(ops[before, source] == "none" for before in range(source))
        if ops[source, target] in FREE and (is_zero or not is_live[target]):
            ops[source, target] = "none"
    return tuple(ops.values())


def _swapped(cell: Operations) -> Iterator[Operations]:
    """Yield cells of the same network that differ by one exchange of two edges, or of the two middle nodes."""
    e01, e02, e12, e03, e13, e23 = cell
    if e12 == "none":
        yield e02, e01, e12, e03, e23, e13
    first_is_input = e01 == "skip_connect"
    second_is_input = (e02, e12) == ("skip_connect", "none")
    second_is_first = (e02, e12) == ("none", "skip_connect")
    if first_is_input:
        yield e01, e12, e02, e03, e13, e23
        yield e01, e02, e12, e13, e03, e23
    if second_is_input or (second_is_first and first_is_input):
        yield e01, e02, e12, e23, e13, e03
    if second_is_first or (second_is_input and first_is_input):
        yield e01, e02, e12, e03, e23, e13


class Cell(nn.Module):
    """Four nodes and six edges, each a slot; ``[N, channels, H, W]`` in and out. All cells of a network are alike."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.edge01, self.edge02, self.edge12, self.edge03, self.edge13, self.edge23 = (
            ChannelsOneOf(name, channels, **OPTIONS) for name in NAMES
        )

    def forward(self, x: Tensor) -> Tensor:
        first = self.edge01(x)
        second = self.edge02(x) + self.edge12(first)
        last: Tensor = self.edge03(x) + self.edge13(first) + self.edge23(second)
        return last


class Zeros(nn.Module):
    """Zeros in the shape of the input, whatever it holds."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


OPTIONS: Mapping[str, ChannelsFactory] = {
    "none": lambda channels: Zeros(),
    "skip_connect": lambda channels: nn.Identity(),
    "nor_conv_1x1": lambda channels: _relu_conv_bn(channels, channels, 1),
    "nor_conv_3x3": lambda channels: _relu_conv_bn(channels, channels, 3),
    "avg_pool_3x3": lambda channels: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
}
"""How each operation is built for a number of channels."""


def _network(classes: int, channels: int, width: int, cells: int) -> nn.Module:
    layers: list[nn.Module] = [conv_bn(channels, width, 3, relu=False)]
    for stage in range(3):
        if stage:
            layers.append(_down(width, 2 * width))
            width *= 2
        layers += [Cell(width) for _ in range(cells)]
    head = (nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
    return nn.Sequential(*layers, *head)


def _down(inputs: int, outputs: int) -> nn.Module:
    """Return the residual block between stages, which halves height and width; no activation follows the sum."""
    main = nn.Sequential(*_relu_conv_bn(inputs, outputs, 3, stride=2), *_relu_conv_bn(outputs, outputs, 3))
    shortcut = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(inputs, outputs, 1, bias=False))
    return Residual(main, shortcut, nn.Identity())


def _relu_conv_bn(inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(outputs))  # other edges read the input: not in place
