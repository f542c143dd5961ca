"""Design spaces: quantities to draw, and how the numbers drawn become networks.

A design space is a dataclass with a name, ``draw`` (columns of numbers), ``count`` (which of them are networks, and
their complexity) and ``network`` (the module of one row). ``AnyNetSpace`` and ``RegNetSpace`` count in closed form,
``BuiltSpace`` takes any builder and counts what it builds. Radosavovic et al., 2020, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from palmette.design_spaces.complexity import Complexity, Stages, complexities, counted_complexity
from palmette.design_spaces.quantities import Column, Quantity
from palmette.spaces.anynet import AnyNet, Skeleton, anynet, compatible, compatible_stages
from palmette.spaces.regnet import RegNet, quantised_linear, regnet_anynet

Columns = Mapping[str, Column]
"""Numbers by the name of the parameter, ``[N]`` each."""
Row = Mapping[str, float]
"""The numbers of one network."""
Mask = npt.NDArray[np.bool_]

CHUNK = 5000
"""Arrays of this length stay in the cache."""


class DesignSpace(Protocol):
    """A set of networks, and a law to draw them by."""

    @property
    def name(self) -> str: ...

    @property
    def chunk(self) -> int:
        """How many candidates to draw and count at a time."""
        ...

    def draw(self, count: int, generator: np.random.Generator) -> Columns:
        """Return the parameters of ``count`` draws, networks or not."""
        ...

    def count(self, columns: Columns, resolution: int) -> tuple[Mask, Complexity]:
        """Return which draws are networks, ``[N]``, and the complexity of those that are, in order."""
        ...

    def network(self, row: Row, *, seed: int) -> nn.Module:
        """Return the module of one draw, with initial weights by ``seed``."""
        ...


@dataclass(frozen=True, kw_only=True)
class AnyNetSpace:
    """Depth, width, b and g of every stage drawn apart (AnyNetX_A), shared or ordered (B to E).

    Ordered draws are sorted: rejecting the others differs only in the weight of ties and costs 24 times as much each.
    """

    name: str
    skeleton: Skeleton = field(default_factory=Skeleton)
    depths: Quantity
    widths: Quantity
    bottlenecks: Quantity
    group_widths: Quantity
    shares_bottleneck: bool = False
    shares_group_width: bool = False
    widths_rise: bool = False
    depths_rise: bool = False
    chunk: ClassVar[int] = CHUNK

    @property
    def dimensions(self) -> int:
        stages = len(self.skeleton.strides)
        shared = self.shares_bottleneck + self.shares_group_width
        return 4 * stages - shared * (stages - 1)

    @property
    def size(self) -> int:
        """The paper's size, exact: all settings, divided by ``stages!`` for each of the two orders."""
        stages = len(self.skeleton.strides)
        free: int = (self.depths.count() * self.widths.count()) ** stages
        free *= self.bottlenecks.count() ** (1 if self.shares_bottleneck else stages)
        free *= self.group_widths.count() ** (1 if self.shares_group_width else stages)
        return free // int(math.factorial(stages) ** (self.widths_rise + self.depths_rise))

    @property
    def members(self) -> int:
        """The settings there are, exact: rising sequences with ties are each counted once."""
        stages = len(self.skeleton.strides)
        free: int = self.bottlenecks.count() ** (1 if self.shares_bottleneck else stages)
        free *= self.group_widths.count() ** (1 if self.shares_group_width else stages)
        for quantity, rises in ((self.depths, self.depths_rise), (self.widths, self.widths_rise)):
            count = quantity.count()
            free *= math.comb(count + stages - 1, stages) if rises else count**stages
        return free

    def draw(self, count: int, generator: np.random.Generator) -> Columns:
        shape = (len(self.skeleton.strides), count)
        depths, widths = self.depths.draw(shape, generator), self.widths.draw(shape, generator)
        bottlenecks = self.bottlenecks.draw((1, count) if self.shares_bottleneck else shape, generator)
        groups = self.group_widths.draw((1, count) if self.shares_group_width else shape, generator)
        if self.widths_rise:
            widths.sort(axis=0)
        if self.depths_rise:
            depths.sort(axis=0)
        return {**_named("d", depths), **_named("w", widths), **_named("b", bottlenecks), **_named("g", groups)}

    def stages(self, columns: Columns) -> Stages:
        """Return the compatible stages of every draw."""
        stages = len(self.skeleton.strides)
        depths, widths, bottlenecks, groups = (_stacked(letter, columns, stages) for letter in "dwbg")
        bottlenecks = bottlenecks.astype(np.float64)
        moved, fitting = compatible(widths, bottlenecks, groups, block=self.skeleton.block)
        return Stages(depths.astype(np.int64), moved, bottlenecks, fitting)

    def count(self, columns: Columns, resolution: int) -> tuple[Mask, Complexity]:
        stages = self.stages(columns)
        return np.ones(stages.depths.shape[1], dtype=np.bool_), complexities(self.skeleton, stages, resolution)

    def anynet(self, row: Row) -> AnyNet:
        """Return the network of one draw as a record."""
        stages = len(self.skeleton.strides)
        d, w, b, g = (_per_stage(letter, row, stages) for letter in "dwbg")
        return AnyNet(
            self.skeleton, compatible_stages(self.skeleton, list(map(int, d)), list(map(int, w)), b, list(map(int, g)))
        )

    def network(self, row: Row, *, seed: int) -> nn.Module:
        return anynet(self.anynet(row), seed=seed)


@dataclass(frozen=True, kw_only=True)
class RegNetSpace:
    """Networks by the quantised linear rule; lines that make another number of stages are no networks."""

    name: str
    skeleton: Skeleton = field(default_factory=Skeleton)
    depths: Quantity
    w0: Quantity
    wa: Quantity
    wm: Quantity
    bottlenecks: Quantity
    group_widths: Quantity

    chunk: ClassVar[int] = CHUNK
    dimensions: ClassVar[int] = 6

    @property
    def size(self) -> int:
        """The paper's estimate for its ranges: 64 values of each of d, w0, wa and wm, 6 of g, 3 of b."""
        return 64**4 * 6 * 3

    def draw(self, count: int, generator: np.random.Generator) -> Columns:
        quantities = (self.depths, self.w0, self.wa, self.wm, self.bottlenecks, self.group_widths)
        names = ("d", "w0", "wa", "wm", "b", "g")
        return {name: quantity.draw(count, generator) for name, quantity in zip(names, quantities, strict=True)}

    def stages(self, columns: Columns) -> tuple[Mask, Stages]:
        """Return which draws make the skeleton's number of stages, ``[N]``, and the compatible stages of those."""
        stages = len(self.skeleton.strides)
        line = (columns["d"], columns["w0"], columns["wa"], columns["wm"])
        depths, widths, exact = quantised_linear(*line, stages=stages)
        shape = (stages, int(exact.sum()))
        bottlenecks = np.broadcast_to(columns["b"][exact].astype(np.float64), shape)
        groups = np.broadcast_to(columns["g"][exact], shape)
        moved, fitting = compatible(widths[:, exact], bottlenecks, groups, block=self.skeleton.block)
        return exact, Stages(depths[:, exact], moved, bottlenecks, fitting)

    def count(self, columns: Columns, resolution: int) -> tuple[Mask, Complexity]:
        exact, stages = self.stages(columns)
        return exact, complexities(self.skeleton, stages, resolution)

    def anynet(self, row: Row) -> AnyNet:
        """Return the network of one draw as a record."""
        regnet = RegNet(
            depth=int(row["d"]),
            w0=int(row["w0"]),
            wa=float(row["wa"]),
            wm=float(row["wm"]),
            bottleneck=float(row["b"]),
            group_width=int(row["g"]),
        )
        return regnet_anynet(regnet, self.skeleton)

    def network(self, row: Row, *, seed: int) -> nn.Module:
        return anynet(self.anynet(row), seed=seed)


@dataclass(frozen=True, kw_only=True)
class BuiltSpace:
    """Any quantities and any builder; complexity is counted on the meta device, some hundred networks a second.

    ``build`` gets one number by name for each quantity and returns a module, or None where the numbers are no network.
    """

    name: str
    quantities: Mapping[str, Quantity]
    build: Callable[[Row], nn.Module | None]
    channels: int = 3
    chunk: ClassVar[int] = 50

    def draw(self, count: int, generator: np.random.Generator) -> Columns:
        return {name: quantity.draw(count, generator) for name, quantity in self.quantities.items()}

    def count(self, columns: Columns, resolution: int) -> tuple[Mask, Complexity]:
        draws = len(next(iter(columns.values())))
        shape = (self.channels, resolution, resolution)
        counted: list[dict[str, int] | None] = []
        for i in range(draws):
            with torch.device("meta"):
                module = self.build({name: column[i].item() for name, column in columns.items()})
            counted.append(None if module is None else counted_complexity(module, shape))
        found = [counts for counts in counted if counts is not None]
        sums = (np.array([counts[name] for counts in found], dtype=np.int64) for name in ("flops", "params", "acts"))
        return np.array([counts is not None for counts in counted]), Complexity(*sums)

    def network(self, row: Row, *, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            module = self.build(row)
        assert module is not None
        return module


def _named(letter: str, rows: Column) -> Columns:
    """Return the rows of a stack as columns d1, d2, ...; a shared quantity, one row, keeps its letter."""
    if len(rows) == 1:
        return {letter: rows[0]}
    return {f"{letter}{i}": row for i, row in enumerate(rows, start=1)}


def _stacked(letter: str, columns: Columns, stages: int) -> Column:
    """Undo ``_named``: ``[stages, N]``."""
    return np.stack([columns[letter if letter in columns else f"{letter}{i}"] for i in range(1, stages + 1)])


def _per_stage(letter: str, row: Row, stages: int) -> list[float]:
    return [row[letter if letter in row else f"{letter}{i}"] for i in range(1, stages + 1)]
