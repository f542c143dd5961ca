"""The final networks of ENAS as the released code builds them: one of the macro and one of the micro space, as data.

Pham et al., ICML 2018; repository melodyguan/enas, ``cifar10_macro_final.sh`` and ``cifar10_micro_final.sh``; enas.md
3.5. They are no architectures of the spaces beside this file, for the code builds them in another form than it
searches: the macro network has 24 layers, ordinary convolutions where the script says separable ones, and doubles its
filters at reductions; the micro network has no 1x1 convolution at the end of a cell, but one more at its beginning.
Parameters therefore differ from the paper's 21.3M (12 layers, which exist as a figure only) and 4.6M.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from palmette.blocks.convolution import conv_bn
from palmette.blocks.factorized_reduce import FactorizedReduce
from palmette.blocks.separable import relu_conv_bn
from palmette.graphs import SKIP, Graph, Node, Read

INPUTS = 2
"""Of a cell: the outputs of the two cells before it are its nodes 0 and 1."""

OPERATIONS = ("separable 3x3", "separable 5x5", "average pool", "max pool", "identity")
"""Of the micro script, by number."""


@dataclass(frozen=True)
class MacroScript:
    """A macro network: per layer its operation, and the stored tensors that join it (0 is the stem, j is layer j)."""

    operations: tuple[int, ...]
    """0 and 1 are convolutions of kernel 3, 2 and 3 of kernel 5."""
    skips: tuple[tuple[int, ...], ...]
    filters: int

    def graphs(self) -> list[Graph]:
        """Return the network as it is drawn."""
        names = ("stem", *(f"layer {i}" for i in range(1, 1 + len(self.operations))))
        kernels = ("conv 3x3", "conv 3x3", "conv 5x5", "conv 5x5")
        layers = [
            Node(names[i], (Read(names[i - 1], kernels[operation]), *(Read(names[j], SKIP) for j in skips)))
            for i, (operation, skips) in enumerate(zip(self.operations, self.skips, strict=True), start=1)
        ]
        return [Graph("network", names[:1], tuple(layers), names[-1:], ("conv 3x3", "conv 5x5"))]

    def network(self, classes: int = 10) -> nn.Module:
        """Return the network, ``[N, 3, 32, 32]`` to logits ``[N, classes]``."""
        return _Macro(self, classes)


@dataclass(frozen=True)
class MicroScript:
    """A pair of cells: per new node, two times an earlier node and an operation.

    Operations are numbers of ``OPERATIONS``.
    """

    normal: tuple[tuple[int, int, int, int], ...]
    reduction: tuple[tuple[int, int, int, int], ...]
    cells: int
    """Normal cells; two reduction cells come on top."""
    filters: int

    def graphs(self) -> list[Graph]:
        """Return both cells as they are drawn."""
        return [_drawn("normal cell", self.normal), _drawn("reduction cell", self.reduction)]

    def network(self, classes: int = 10) -> nn.Module:
        """Return the network, ``[N, 3, 32, 32]`` to logits ``[N, classes]``, without auxiliary head."""
        return _Micro(self, classes)


def _drawn(name: str, cell: Sequence[tuple[int, int, int, int]]) -> Graph:
    names = ("cell before the last", "last cell", *(f"node {i}" for i in range(INPUTS, INPUTS + len(cell))))
    nodes = [
        Node(node, (Read(names[one], OPERATIONS[first]), Read(names[other], OPERATIONS[second])))
        for node, (one, first, other, second) in zip(names[INPUTS:], cell, strict=True)
    ]
    return Graph(name, names[:INPUTS], tuple(nodes), tuple(names[i] for i in loose_ends(cell)), OPERATIONS)


def loose_ends(cell: Sequence[tuple[int, int, int, int]]) -> list[int]:
    """Return the nodes, inputs among them, that no node reads."""
    read = {node for first, _, second, _ in cell for node in (first, second)}
    return [node for node in range(INPUTS + len(cell)) if node not in read]


class _Macro(nn.Module):
    def __init__(self, script: MacroScript, classes: int) -> None:
        super().__init__()
        layers, filters = len(script.operations), script.filters
        self.stem = conv_bn(3, filters, 3, relu=False)
        self.skips = script.skips
        self.reduced_after = (layers // 3 - 1, 2 * layers // 3 - 1)
        self.operations, self.joins, self.reductions = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for index, (operation, skips) in enumerate(zip(script.operations, script.skips, strict=True)):
            kernel = 3 if operation < 2 else 5
            one = relu_conv_bn(filters, filters)
            self.operations.append(nn.Sequential(one, nn.ReLU(), *conv_bn(filters, filters, kernel, relu=False)))
            join = relu_conv_bn((1 + len(skips)) * filters, filters) if index else nn.Identity()
            self.joins.append(join)
            if index in self.reduced_after:
                halves = [FactorizedReduce(filters, 2 * filters, relu=False) for _ in range(index + 2)]
                self.reductions.append(nn.ModuleList(halves))
                filters *= 2
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(filters, classes, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        stored, reductions = [self.stem(x)], list(self.reductions)
        for index, (operation, join, skips) in enumerate(zip(self.operations, self.joins, self.skips, strict=True)):
            out = operation(stored[-1])
            stored.append(join(torch.cat([*(stored[j] for j in skips), out], dim=1)))
            if index in self.reduced_after:
                halves: Sequence[nn.Module] = reductions.pop(0)  # type: ignore[assignment]
                stored = [reduce(tensor) for reduce, tensor in zip(halves, stored, strict=True)]
        logits: Tensor = self.head(stored[-1])
        return logits


class _Micro(nn.Module):
    def __init__(self, script: MicroScript, classes: int) -> None:
        super().__init__()
        filters, before, last = script.filters, 3 * script.filters, 3 * script.filters
        self.stem = conv_bn(3, last, 3, relu=False)
        self.cells = nn.ModuleList()
        reduced = False
        for index in range(script.cells + 2):
            reduction = index in (script.cells // 3, 2 * script.cells // 3 + 1)
            filters *= 2 if reduction else 1
            cell = script.reduction if reduction else script.normal
            self.cells.append(_Cell(cell, before, last, filters, reduction=reduction, halved=reduced))
            before, last, reduced = last, len(loose_ends(cell)) * filters, reduction
        head = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, classes, bias=False))
        self.head = nn.Sequential(*head)

    def forward(self, x: Tensor) -> Tensor:
        before = last = self.stem(x)
        for cell in self.cells:
            before, last = last, cell(before, last)
        logits: Tensor = self.head(last)
        return logits


class _Cell(nn.Module):
    def __init__(
        self,
        cell: Sequence[tuple[int, int, int, int]],
        before: int,
        last: int,
        filters: int,
        *,
        reduction: bool,
        halved: bool,
    ) -> None:
        super().__init__()
        self.before = _calibrated(before, filters) if not halved else FactorizedReduce(before, filters)
        self.last = nn.Sequential(_calibrated(last, filters), relu_conv_bn(filters, filters))
        self.reads = [(first, second) for first, _, second, _ in cell]
        self.loose = loose_ends(cell)

        def operation(node: int, number: int) -> nn.Module:
            return _operation(number, filters, 2 if reduction and node < INPUTS else 1)

        self.first = nn.ModuleList(operation(node, number) for node, number, _, _ in cell)
        self.second = nn.ModuleList(operation(node, number) for _, _, node, number in cell)

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        nodes = [self.before(before), self.last(last)]
        for (one, other), first, second in zip(self.reads, self.first, self.second, strict=True):
            nodes.append(first(nodes[one]) + second(nodes[other]))
        return torch.cat([nodes[node] for node in self.loose], dim=1)


def _calibrated(inputs: int, filters: int) -> nn.Module:
    return nn.Identity() if inputs == filters else relu_conv_bn(inputs, filters)


def _operation(number: int, filters: int, stride: int) -> nn.Module:
    match number:
        case 0 | 1:
            kernel = 3 + 2 * number
            layers: list[nn.Module] = []
            for step in (stride, 1):
                depthwise = nn.Conv2d(filters, filters, kernel, step, padding=kernel // 2, groups=filters, bias=False)
                layers += [nn.ReLU(), depthwise, *conv_bn(filters, filters, relu=False)]
            return nn.Sequential(*layers)
        case 2:
            return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        case 3:
            return nn.MaxPool2d(3, stride, padding=1)
        case _:
            return nn.Identity() if stride == 1 else FactorizedReduce(filters, filters, relu=False)


def _cell(text: str) -> tuple[tuple[int, int, int, int], ...]:
    """Read the script's notation: groups of node, operation, node, operation."""
    numbers = list(map(int, text.split()))
    return tuple((a, b, c, d) for a, b, c, d in zip(*[iter(numbers)] * 4, strict=True))


def _macro(text: str) -> MacroScript:
    """Read one layer per comma: its operation, and the stored tensors that join it."""
    rows = [tuple(map(int, row.split())) for row in text.split(",")]
    return MacroScript(tuple(row[0] for row in rows), tuple(row[1:] for row in rows), filters=96)


PUBLISHED: Mapping[str, MacroScript | MicroScript] = {
    "enas-macro-released": _macro(
        "0, 3, 0 0, 2 2, 2, 3 0 1 3, 2 5, 2 1 2 4 5 6, 1 1 2 3 5 7, 0, 2 5, 0 0 3 4 9 10, 2 1 7 9 10, "
        "1 2 6 7 8 10 12, 0 0 1 3 5 11, 2 2 10 12 14, 2 1 5 8 9 10 11 14, 2 4 6 8 11 13 16, 3 1 2 4 10 12 14, "
        "3 1 2 12 13 18, 0 0 3 5 6 10 16 17, 3 1 3 4 7 9 10 12 13 15 18, 0 0 2 4 13 15 18, "
        "0 0 1 5 6 7 9 13 15 18 19"
    ),
    "enas-micro-released": MicroScript(
        normal=_cell("0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1"),
        reduction=_cell("1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1"),
        cells=15,
        filters=36,
    ),
}
"""By name, the scripts' networks: 42,559,392 and 3,894,372 parameters."""
