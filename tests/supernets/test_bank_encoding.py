"""The encoding of memory-bank networks: published sizes, a worked example, and back again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from palmette.blocks.bank_plan import BankSizes, BlockPlan, Convolution, Op
from palmette.errors import ArchitectureError
from palmette.spaces.bank_grammar import BankGrammar
from palmette.spaces.memory_bank import SMALL
from palmette.supernets.bank_decisions import read_plans
from palmette.supernets.bank_encoding import BankEncoding

K35 = Convolution((3, 5), (2, 1), 2)


def small_plans(*ops: Op, bank: int = 1) -> list[BlockPlan]:
    first, *rest = [BlockPlan(inputs, SMALL.unit, bank, (), SMALL.bottleneck) for inputs in SMALL.inputs]
    return [dataclasses.replace(first, ops=ops), *rest]


@pytest.mark.parametrize(("family", "channels"), [("single", 91), ("variable", 143), ("all", 139), ("long", 139)])
def test_c_has_the_published_channels_and_columns(family: str, channels: int) -> None:
    """smash.md 6.2; the long configuration describes four convolutions too, which the released code forgets."""
    sizes = BankSizes(family=family)  # type: ignore[arg-type]
    assert BankEncoding(sizes).channels == channels
    plans = read_plans(BankGrammar(sizes).sample(np.random.default_rng(0)), sizes)
    c = BankEncoding(sizes).encode(plans)
    used = sum(len(op.reads) * plan.bank // 2 for plan in plans for op in plan.ops)
    assert c.shape == (1, channels, 8, used + 1)
    assert sum(sizes.columns) == 353


def test_a_worked_example() -> None:
    """Reads 0, 1, 3 and 4 of banks of one unit: two columns of two units. Channels 16 reads, 16 writes, 3 block, ..."""
    op = Op(reads=(0, 1, 3, 4), writes=(1, 4), units=2, convolutions=(("a1", K35),))
    before = Op(reads=(0, 1), writes=(4,), units=1, convolutions=(("a1", Convolution((3, 3), (1, 1))),))
    c = BankEncoding(SMALL).encode(small_plans(before, op))[0]
    assert c.shape == (16 + 16 + 3 + 4 + 2 * 3 + 2 * 2 + 3, 4, 4)
    common = [16 + 1, 16 + 4, 32, 35 + 1, 39 + 1, 39 + 3, 45 + 0, 45 + 3, 49 + 1]
    for column, reads in ((1, [0, 1]), (2, [3, 4])):
        assert (c[:, 0, column] > 0).nonzero().flatten().tolist() == sorted(reads + common)
        assert torch.equal(c[:, 1, column], c[:, 0, column])
        assert c[:, 2:, column].eq(-1).all()
    assert c[:, :, 3].eq(-1).all()
    assert set(c.unique().tolist()) == {-1.0, 1.0}


def test_a_bank_of_several_columns_fills_all_of_them_and_one_shared_by_two_banks_has_both() -> None:
    wide = Op(reads=(0, 1), writes=(0,), units=4, convolutions=(("a1", K35),))
    sizes = dataclasses.replace(SMALL, width=4)
    plans = [BlockPlan(inputs, 4, 4, (), 2) for inputs in sizes.inputs]
    c = BankEncoding(sizes).encode([dataclasses.replace(plans[0], ops=(wide,)), *plans[1:]])[0, :16, 0]
    assert [(c[:, column] > 0).nonzero().flatten().tolist() for column in range(4)] == [[0], [0], [1], [1]]
    sizes = dataclasses.replace(SMALL, width=4, widest=24)
    plans = [BlockPlan(inputs, 4, 3, (), 2) for inputs in sizes.inputs]
    odd = Op(reads=(0, 1), writes=(0,), units=3, convolutions=(("a1", K35),))
    encoding = BankEncoding(sizes)
    c = encoding.encode([dataclasses.replace(plans[0], ops=(odd,)), *plans[1:]])[0, :, 0]
    reads = c[: encoding.counts["reads"]]
    assert [(reads[:, column] > 0).nonzero().flatten().tolist() for column in range(3)] == [[0], [0, 1], [1]]


@pytest.mark.parametrize("sizes", [BankSizes(), BankSizes(gates=True), BankSizes(family="single", axes=3), SMALL])
def test_random_networks_come_back_from_their_encoding(sizes: BankSizes) -> None:
    grammar, encoding, generator = BankGrammar(sizes), BankEncoding(sizes), np.random.default_rng(0)
    equal = 0
    for _ in range(15):
        plans = read_plans(grammar.sample(generator), sizes)
        c = encoding.encode(plans)
        back = encoding.decode(c, [plan.bank for plan in plans])
        equal += back == plans
        again = encoding.encode(back) if back == plans else c
        assert torch.equal(again, c)
    assert equal >= 14


def test_ops_that_differ_in_what_they_read_alone_come_back_as_one() -> None:
    one = Op(reads=(0, 1), writes=(2,), units=1, convolutions=(("a1", K35),))
    other = dataclasses.replace(one, reads=(2, 3))
    encoding = BankEncoding(SMALL)
    back = encoding.decode(encoding.encode(small_plans(one, other)), [1, 1, 1])
    assert back[0].ops == (dataclasses.replace(one, reads=(0, 1, 2, 3)),)
    reverse = encoding.decode(encoding.encode(small_plans(other, one)), [1, 1, 1])
    assert reverse[0].ops == (other, one)


def test_what_no_network_has_is_refused() -> None:
    encoding = BankEncoding(SMALL)
    c = encoding.encode(small_plans(Op(reads=(0, 1), writes=(2,), units=1, convolutions=(("a1", K35),))))
    c[0, encoding.start["block"] + 1, 0, 0] = 1.0
    with pytest.raises(ArchitectureError, match="2 channels of block"):
        encoding.decode(c, [1, 1, 1])


def test_a_network_over_the_limits_is_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "full", lambda *args, **kwargs: pytest.fail("a tensor was made"))
    op = Op(reads=(0, 1), writes=(2,), units=9, convolutions=(("a1", K35),))
    with pytest.raises(ArchitectureError, match=r"block1\.op1: 9 units wide \(36 channels\)"):
        BankEncoding(SMALL).encode(small_plans(op))
