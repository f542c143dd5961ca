"""Published pairs of cells in the space of DARTS, as data.

Written as papers print them: the operation and the state it reads, two for each node in turn; ``sep3<1`` is the 3x3
separable convolution on state 1, ``max`` and ``avg`` are 3x3 pooling, ``skip`` the identity. States 0 and 1 are the
outputs of the last cell but one and of the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from palmette.architecture import Architecture
from palmette.decisions import Decisions
from palmette.errors import ArchitectureError
from palmette.spaces.darts_cell import NODES, cell_inputs, cell_values

_SHORT = {
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "skip": "skip_connect",
    "sep3": "sep_conv_3x3",
    "sep5": "sep_conv_5x5",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
}


@dataclass(frozen=True)
class Genotype:
    """A normal and a reduction cell."""

    normal: str
    reduce: str
    source: str
    """Where it is from."""

    def architecture(self, decisions: Decisions) -> Architecture:
        """Return it as an architecture of a space of DARTS cells.

        Raises:
            ArchitectureError: the text is not eight operations, two for each node, of known names and earlier states.
        """
        cells = {"normal": self.normal, "reduce": self.reduce}
        return decisions.architecture({k: v for kind, text in cells.items() for k, v in _values(kind, text).items()})


def genotype(architecture: Architecture) -> Genotype:
    """Return an architecture as text, the earlier state of each node first."""
    names = {long: short for short, long in _SHORT.items()}
    normal, reduce = (
        " ".join(f"{names[op]}<{state}" for two in cell_inputs(kind, architecture) for op, state in two)
        for kind in ("normal", "reduce")
    )
    return Genotype(normal, reduce, source=f"architecture {architecture.id}")


def _values(kind: str, text: str) -> Mapping[str, str]:
    parts = [part.partition("<") for part in text.split()]
    fitting = len(parts) == 2 * len(NODES) and all(op in _SHORT and state.isdigit() for op, _, state in parts)
    reads = [(_SHORT[op], int(state)) for op, _, state in parts] if fitting else []
    two_each = list(zip(reads[::2], reads[1::2], strict=True))
    if not fitting or any(a[1] == b[1] or max(a[1], b[1]) >= n for n, (a, b) in zip(NODES, two_each, strict=True)):
        raise ArchitectureError(
            f"cell {text!r}: give eight of {', '.join(_SHORT)}, each with < and the number of an earlier state, two "
            "different states for each of the nodes 2 to 5"
        )
    return {name: str(value) for name, value in cell_values(kind, two_each).items()}


GENOTYPES: Mapping[str, Genotype] = {
    "DARTS_V1": Genotype(
        "sep3<1 sep3<0 skip<0 sep3<1 skip<0 sep3<1 sep3<0 skip<2",
        "max<0 max<1 skip<2 max<0 max<0 skip<2 skip<2 avg<0",
        "Liu et al., DARTS, 2019, the first-order cell",
    ),
    "DARTS_V2": Genotype(
        "sep3<0 sep3<1 sep3<0 sep3<1 sep3<1 skip<0 skip<0 dil3<2",
        "max<0 max<1 skip<2 max<1 max<0 skip<2 skip<2 max<1",
        "Liu et al., DARTS, 2019, the second-order cell",
    ),
    "PC_DARTS_cifar": Genotype(
        "sep3<1 skip<0 sep3<0 dil3<1 sep5<0 sep3<1 avg<0 dil3<1",
        "sep5<1 max<0 sep5<1 sep5<2 sep3<0 sep3<3 sep3<1 sep3<2",
        "Xu et al., PC-DARTS, 2020, searched on CIFAR-10",
    ),
    "PC_DARTS_image": Genotype(
        "skip<1 sep3<0 sep3<0 skip<1 sep3<1 sep3<3 sep3<1 dil5<4",
        "sep3<0 skip<1 dil5<2 max<1 sep3<2 sep3<1 sep5<0 sep3<3",
        "Xu et al., PC-DARTS, 2020, searched on ImageNet",
    ),
    "DrNAS_cifar10": Genotype(
        "sep3<0 sep5<1 sep3<1 sep3<2 skip<0 sep3<1 sep3<2 dil5<3",
        "max<0 sep5<1 dil5<2 sep5<1 sep5<1 dil5<3 skip<4 sep5<1",
        "Chen et al., DrNAS, 2021, searched on CIFAR-10",
    ),
    "DrNAS_imagenet": Genotype(
        "sep3<1 sep3<0 sep3<0 sep3<1 sep3<0 dil3<3 skip<0 sep3<1",
        "max<0 sep3<1 sep3<0 skip<2 sep3<0 sep3<2 sep3<3 sep3<1",
        "Chen et al., DrNAS, 2021, searched on ImageNet",
    ),
    "GDAS_V1": Genotype(
        "skip<0 skip<1 skip<0 sep5<2 sep3<3 skip<0 sep5<4 sep3<3",
        "sep5<0 sep3<1 sep5<2 sep5<1 dil5<2 sep3<1 sep5<0 sep5<1",
        "Dong and Yang, GDAS, 2019",
    ),
}
