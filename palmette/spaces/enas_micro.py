"""ENAS's micro space: a normal and a reduction cell, repeated; every node adds up two operations on earlier nodes.

Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018, section 2.4; enas.md 3.2. A cell
has B nodes, of which the first two are the outputs of the two cells before it. Each of the others chooses two earlier
nodes and for each one of five operations, whose weights belong to that node and that input. What no node reads is
concatenated in depth and brought back to the cell's width by ReLU, a 1x1 convolution and BatchNorm.

Two cells have (5^(B-2) (B-1)!)^4 encodings, 2.6e25 for B = 7. The paper counts (5 (B-2)!)^4 = 1.3e11, with 5
operations for a whole cell where the decisions have 5 for each of its nodes, and (B-2)! inputs where node i has i - 1.
The two halves of a node add up, so their order does not matter: 4.4e22 pairs of cells differ.

Deviations from the released search network: operations on the inputs of a reduction cell have stride 2, as in the paper
and in the final network there (its search halves the inputs first); an input that nothing reads is no loose end; the
1x1 convolution of the concatenation is computed as a sum of one per node (``acts`` counts each).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from palmette.architecture import Value
from palmette.blocks.auxiliary import auxiliary_head
from palmette.blocks.convolution import conv_bn
from palmette.blocks.drop_path import DropPath
from palmette.blocks.factorized_reduce import FactorizedReduce
from palmette.blocks.separable import relu_conv_bn, separable_conv
from palmette.decision import Categorical, Equivalence, Node
from palmette.errors import ArchitectureError
from palmette.graph_slots import LooseEnds, OneOfInputs
from palmette.plain import TrainingOnly
from palmette.slots import Factory, OneOf
from palmette.space import Space
from palmette.spaces.darts import CellNetwork
from palmette.spaces.enas_macro import FEWEST_FILTERS

OPERATIONS = ("sep3", "sep5", "avg3", "max3", "identity")
"""In the order of the released code's numbers."""
KINDS = ("normal", "reduction")
INPUTS = ("input0", "input1")
"""The output of the cell before the last one, and of the last one."""
Options = Callable[[int], dict[str, Factory]]
"""The operations by their stride."""
STEM = 3
"""Width of the stem, in widths of the first cell."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """The numbers of one network."""

    cells: int
    """Normal cells, a multiple of 3; two reduction cells come on top."""
    filters: int
    """Channels in the first cells; doubled by every reduction."""
    auxiliary: bool = False
    """A second classifier after the cell that follows the second reduction, which only training uses; 32x32 images."""
    drop_path: bool = False
    """Operations can be left out in training, as the recipe says, the more the deeper the cell."""


SEARCHED = Network(cells=6, filters=20)
FINAL = Network(cells=15, filters=36, auxiliary=True, drop_path=True)


def enas_micro(
    *,
    classes: int = 10,
    channels: int = 3,
    nodes: int = 7,
    searched: Network = SEARCHED,
    final: Network | None = None,
    dropout: float = 0.1,
) -> Space:
    """Return the space; input ``[N, channels, H, W]`` with H and W divisible by 4.

    Args:
        classes: of the images.
        channels: of the images.
        nodes: of a cell, its two inputs among them (the paper's B); at least 3.
        searched: the network of the supernet.
        final: the network that is counted and trained in the end; None is the searched one.
        dropout: share of features left out before the classifier.

    Raises:
        ArchitectureError: numbers of nodes, cells or filters that no network has.
    """
    for network in (searched, final or searched):
        if nodes < 3 or network.cells < 3 or network.cells % 3:
            raise ArchitectureError(
                f"enas-micro: {nodes} nodes and {network.cells} cells were given; allowed are at least 3 nodes, and "
                "a multiple of 3 cells"
            )
        if network.filters < FEWEST_FILTERS or network.filters % 2:
            raise ArchitectureError(
                f"enas-micro: filters = {network.filters} was given; give an even number from {FEWEST_FILTERS}"
            )

    def space(network: Network, stand_alone: Space | None) -> Space:
        return Space(
            partial(_network, network, nodes, classes, channels, dropout),
            name="enas-micro",
            equivalences=[
                Equivalence(_halves(kind, node), _sorted_halves) for kind in KINDS for node in _new_nodes(nodes)
            ],
            nodes=[node for kind in KINDS for node in _graph(kind, nodes)],
            stand_alone=stand_alone,
        )

    return space(searched, None if final is None else space(final, None))


class Cell(nn.Module):
    """``[before last, last]`` to ``[N, filters, H, W]``, H and W halved by a reduction cell."""

    def __init__(
        self, kind: str, inputs: tuple[nn.Module, nn.Module], filters: int, nodes: int, drop: float | None
    ) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(inputs)
        stride = 2 if kind == "reduction" else 1
        new = _new_nodes(nodes)
        earlier = [(*INPUTS, *new[:i]) for i in range(len(new))]
        self.nodes = nn.ModuleList(
            _Node(_halves(kind, node), names, partial(_options, filters, drop), stride)
            for node, names in zip(new, earlier, strict=True)
        )
        reads = {
            node: [Categorical(name, names) for name in _halves(kind, node)[::2]]
            for node, names in zip(new, earlier, strict=True)
        }
        self.loose = LooseEnds(reads, partial(_loose_end, filters))
        self.norm = nn.BatchNorm2d(filters)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        states = [self.inputs[0](inputs[0]), self.inputs[1](inputs[1])]
        for node in self.nodes:
            states.append(node(states))
        out: Tensor = self.norm(self.loose(states))
        return out


class _Node(nn.Module):
    """The sum of two operations, each on one of the earlier states."""

    def __init__(self, names: Sequence[str], earlier: Sequence[str], options: Options, stride: int) -> None:
        super().__init__()
        input1, op1, input2, op2 = names

        def half(name: str, op: str) -> OneOfInputs:
            inner: Factory = lambda: OneOf(op, **options(1))  # noqa: E731  # one object, known to be the same for all
            outer: Factory = inner if stride == 1 else lambda: OneOf(op, **options(stride))
            return OneOfInputs(name, {source: outer if source in INPUTS else inner for source in earlier})

        self.first, self.second = half(input1, op1), half(input2, op2)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        out: Tensor = self.first(states) + self.second(states)
        return out


def _options(filters: int, drop: float | None, stride: int) -> dict[str, Factory]:
    """Return the five operations; all but identity can be left out in training, ``drop`` of the recipe's share."""

    def dropped(factory: Factory) -> Factory:
        return factory if drop is None else lambda: nn.Sequential(factory(), DropPath(drop))

    operations: dict[str, Factory] = {
        "sep3": partial(separable_conv, filters, 3, stride=stride),
        "sep5": partial(separable_conv, filters, 5, stride=stride),
        "avg3": partial(nn.AvgPool2d, 3, stride, padding=1, count_include_pad=False),
        "max3": partial(nn.MaxPool2d, 3, stride, padding=1),
    }
    identity: Factory = nn.Identity if stride == 1 else partial(FactorizedReduce, filters, filters)
    return {**{name: dropped(factory) for name, factory in operations.items()}, "identity": identity}


def _loose_end(filters: int) -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(filters, filters, 1, bias=False))


def _network(network: Network, nodes: int, classes: int, channels: int, dropout: float) -> CellNetwork:
    """Return the network with its cells open; reductions are after one and two thirds of the normal cells."""
    reductions = (network.cells // 3, 2 * network.cells // 3 + 1)
    total = network.cells + 2
    filters, sizes = network.filters, [(STEM * network.filters, 0)] * 2
    cells: list[nn.Module] = []
    for index in range(total):
        kind = KINDS[index in reductions]
        filters *= 2 if kind == "reduction" else 1
        halved = sizes[0][1] < sizes[1][1]
        inputs = (_calibrated(sizes[0][0], filters, halved=halved), _calibrated(sizes[1][0], filters, halved=False))
        cells.append(Cell(kind, inputs, filters, nodes, (index + 1) / total if network.drop_path else None))
        sizes = [sizes[1], (filters, sizes[1][1] + (kind == "reduction"))]
    stem = [conv_bn(channels, STEM * network.filters, 3, relu=False), nn.Identity()]
    head = [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
    made = CellNetwork(stem, cells, nn.Sequential(*head, nn.Linear(filters, classes, bias=False)))
    if network.auxiliary:
        made.auxiliary = TrainingOnly(auxiliary_head(filters, classes, stride=3))
        made.auxiliary_after = reductions[1] + 1
    return made


def _calibrated(inputs: int, filters: int, *, halved: bool) -> nn.Module:
    """Bring an input to the cell's width, and to half its size where the cell between was a reduction."""
    if halved:
        return FactorizedReduce(inputs, filters)
    return nn.Identity() if inputs == filters else relu_conv_bn(inputs, filters)


def _new_nodes(nodes: int) -> list[str]:
    return [f"node{i}" for i in range(2, nodes)]


def _halves(kind: str, node: str) -> tuple[str, str, str, str]:
    """Return the names of a node's decisions: input and operation of its one half and of its other."""
    prefix = f"{kind}_{node}"
    return f"{prefix}_input1", f"{prefix}_op1", f"{prefix}_input2", f"{prefix}_op2"


def _sorted_halves(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return the halves of a node, which add up, in the one order that stands for both."""
    input1, op1, input2, op2 = map(str, values)
    return tuple(value for half in sorted([(input1, op1), (input2, op2)]) for value in half)


def _graph(kind: str, nodes: int) -> list[Node]:
    inputs = [Node(name, graph=f"{kind} cell") for name in INPUTS]
    return [*inputs, *(Node(node, _halves(kind, node), f"{kind} cell") for node in _new_nodes(nodes))]
