"""Memory-bank networks: the space of SMASH (Brock et al., ICLR 2018; smash.md 3), for images and for voxels.

A stem, then three blocks of banks at full, half and quarter resolution, each followed by its transition or the
classifier. What a block reads, writes and computes is open; how many channels enter it is not.
"""

from __future__ import annotations

import dataclasses
import itertools
from functools import partial

from torch import nn

from palmette.architecture import Architecture
from palmette.blocks.bank_plan import GROWTH, BankSizes, BlockPlan, Convolution, check_plan
from palmette.blocks.memory_bank import CONVOLUTION
from palmette.decisions import Decisions
from palmette.space import Space
from palmette.spaces.bank_grammar import BankGrammar
from palmette.supernets.bank_decisions import plan_values, read_plans
from palmette.supernets.memory_bank import BankSlot

SMALL = BankSizes(depth=4, width=2, unit=4, widest=16, family="single", max_kernel=5, max_groups=4)
"""A budget for a CPU: images of 8x8 to 32x32 in minutes."""
VOXELS = BankSizes(family="single", axes=3, max_kernel=3)
"""Of the full size, with one 3x3x3 convolution per op, as the paper's network for ModelNet10 has."""


def memory_bank(
    *,
    classes: int = 10,
    channels: int = 3,
    sizes: BankSizes | None = None,
    norm: bool = True,
    stem_kernel: int = 7,
    name: str = "memory-bank",
) -> Space:
    """Return the space; input ``[N, channels, H, W]``, with three axes ``[N, channels, D, H, W]``, sides from 4.

    Args:
        classes: of the classifier.
        channels: of the input.
        sizes: the budget; by default the one of the released code with the paper's bottleneck of 2.
        norm: BatchNorm around the 1x1 convolutions of the networks that are trained in the end, as in the released
            code. Those that are searched have none: with it, a hypernetwork was not seen to learn (results/smash.md).
        stem_kernel: of the first convolution.
        name: of the space.
    """
    sizes = sizes or BankSizes()
    searched, trained = (partial(_network, classes, channels, sizes, has_it, stem_kernel) for has_it in (False, norm))
    grammar = BankGrammar(sizes)
    stand_alone = Space(trained, name=name, grammar=grammar) if norm else None
    return Space(searched, name=name, grammar=grammar, stand_alone=stand_alone)


def small_memory_bank(*, classes: int = 10, channels: int = 1) -> Space:
    """Return the space of the small budget, with a 3x3 stem."""
    return memory_bank(classes=classes, channels=channels, sizes=SMALL, stem_kernel=3, name="memory-bank-small")


def voxel_memory_bank(*, classes: int = 10, channels: int = 1) -> Space:
    """Return the space for voxels, with a 3x3x3 stem (one of 7x7x7 would be most of the network's cost)."""
    return memory_bank(classes=classes, channels=channels, sizes=VOXELS, stem_kernel=3, name="memory-bank-voxels")


def from_plans(decisions: Decisions, plans: list[BlockPlan]) -> Architecture:
    """Return the architecture of three plans.

    Raises:
        ArchitectureError: what the budget or the encoding cannot hold, by name.
    """
    sizes = sizes_of(decisions)
    for block, plan in enumerate(plans):
        check_plan(plan, sizes, block)
    return decisions.architecture(
        {k: v for b, plan in enumerate(plans) for k, v in plan_values(plan, sizes, b).items()}
    )


def sizes_of(decisions: Decisions) -> BankSizes:
    """Return the budget of a memory-bank space."""
    assert isinstance(decisions.grammar, BankGrammar)
    return decisions.grammar.sizes


def transferred(architecture: Architecture, source: Decisions, target: Decisions) -> Architecture:
    """Return the architecture in another space of the same budget: from images to voxels, kernels become 3x3x3.

    The paper's network for ModelNet10 has such kernels only (section 4.3); dilations of the new axis are those of the
    first one.

    Raises:
        ArchitectureError: the target's budget cannot hold it.
    """
    wanted = sizes_of(target)
    if sizes_of(source).axes == wanted.axes:
        return target.architecture(architecture.as_dict())

    def moved(convolution: Convolution) -> Convolution:
        dilation = tuple(itertools.islice(itertools.cycle(convolution.dilation), wanted.axes))
        return Convolution((3,) * wanted.axes, dilation, convolution.groups)

    plans = []
    for plan in read_plans(architecture.as_dict(), sizes_of(source)):
        ops = (
            dataclasses.replace(op, convolutions=tuple((name, moved(c)) for name, c in op.convolutions))
            for op in plan.ops
        )
        plans.append(dataclasses.replace(plan, ops=tuple(ops)))
    return from_plans(target, plans)


def _network(classes: int, channels: int, sizes: BankSizes, norm: bool, stem_kernel: int) -> nn.Module:
    stem = CONVOLUTION[sizes.axes](channels, sizes.inputs[0], stem_kernel, padding=stem_kernel // 2, bias=False)
    last = len(GROWTH) - 1
    slots = [BankSlot(b, sizes, classes=classes if b == last else None, norm=norm) for b in range(len(GROWTH))]
    return nn.Sequential(stem, nn.ReLU(), *slots)
