"""Well-known blocks as memory-bank plans (SMASH, Brock et al., 2018, section 3.1; smash.md 2).

Reading and writing patterns alone make the difference: ResNet adds into the bank it read, DenseNet reads all and writes
a new one, FractalNet's columns meet in shared banks.
"""

from __future__ import annotations

from palmette.blocks.bank_plan import BlockPlan, Convolution, Op


def residual(channels: int, layers: int, *, convolution: Convolution) -> BlockPlan:
    """Return the plan of ``layers`` residual layers (He et al., 2016): one bank, read and added to."""
    op = Op(reads=(0,), writes=(0,), units=1, convolutions=(("a1", convolution),))
    return BlockPlan(inputs=channels, unit=channels, bank=1, ops=(op,) * layers)


def dense(growth: int, input_banks: int, layers: int, *, convolution: Convolution) -> BlockPlan:
    """Return the plan of a dense block (Huang et al., 2017): each layer reads all banks and writes a new one.

    Args:
        growth: channels per layer, and per bank.
        input_banks: the block's input, in multiples of ``growth``.
        layers: of the block.
        convolution: of every layer.
    """
    ops = [
        Op(reads=tuple(range(filled)), writes=(filled,), units=1, convolutions=(("a1", convolution),))
        for filled in range(input_banks, input_banks + layers)
    ]
    return BlockPlan(inputs=growth * input_banks, unit=growth, bank=1, ops=tuple(ops))


def fractal(channels: int, columns: int, *, convolution: Convolution) -> BlockPlan:
    """Return the plan of a fractal block (Larsson et al., 2017) whose joins are sums; its output is the last bank.

    Bank ``t`` holds the join at depth ``t`` of the deepest column; for every power of two ``p`` that divides ``t`` one
    layer reads bank ``t - p``. For joins that are means, divide what is written to a bank by its number of writers.
    """
    depth = 2 ** (columns - 1)
    ops = [
        Op(reads=(t - p,), writes=(t,), units=1, convolutions=(("a1", convolution),))
        for t in range(1, depth + 1)
        for p in (2**i for i in range(columns))
        if t % p == 0
    ]
    return BlockPlan(inputs=channels, unit=channels, bank=1, ops=tuple(ops))
