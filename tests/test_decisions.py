"""Decisions, worked out by hand: conditions, subsets, ranges, counts, variation and codes."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from palmette.architecture import Architecture
from palmette.decision import Categorical, Equivalence, Integer, Subset, no_ops_last
from palmette.decisions import Decisions
from palmette.errors import ArchitectureError

CONDITIONAL = Decisions(
    "conditional",
    [
        Categorical("block", ("plain", "cell", "wide")),
        Categorical("kernel", ("k3", "k5"), active_if=(("block", "cell"),)),
        Subset("inputs", ("a", "b", "c"), least=1, most=2, active_if=(("block", "cell"), ("block", "wide"))),
        Categorical("pool", ("max", "mean"), active_if=(("inputs", "c"),)),
        Integer("depth", 1, 5, step=2),
    ],
)
"""By hand, without depth: plain 1; wide: 3 subsets without c + 3 with c times 2 pools = 9; cell: 2 x 9 = 18."""
ROW = Decisions(
    "row",
    [Categorical(name, ("skip", "k3", "k5")) for name in "abc"],
    [Equivalence(("b", "c"), no_ops_last("skip"))],
)
"""By hand: 3 x 3 x 3 codes; of the 9 of b and c, (skip, k3) is (k3, skip) and (skip, k5) is (k5, skip): 3 x 7."""
ALL = [CONDITIONAL, ROW, Decisions("range", [Integer("width", 8, 64, step=8, log=True), Subset("any", ("x", "y"))])]


def make(decisions: Decisions, **values: object) -> Architecture:
    return decisions.architecture(values)  # type: ignore[arg-type]


def test_counts_by_hand() -> None:
    assert CONDITIONAL.count() == (1 + 9 + 18) * 3
    assert CONDITIONAL.count_distinct() == 84
    assert ROW.count() == 27
    assert ROW.count_distinct() == 21
    assert ALL[2].count() == 8 * 4


@pytest.mark.parametrize("decisions", ALL, ids=lambda d: d.space)
def test_counts_equal_enumeration(decisions: Decisions) -> None:
    encodings = list(decisions.encodings())
    assert len(encodings) == decisions.count()
    distinct = list(decisions.enumerate())
    assert len(distinct) == len(set(distinct)) == decisions.count_distinct()
    assert {decisions.architecture(values) for values in encodings} == set(distinct)


def test_a_count_of_a_deep_chain_of_conditions_needs_no_enumeration() -> None:
    chain = [Categorical("d0", ("stop", "go"))]
    chain += [Categorical(f"d{i}", ("stop", "go"), active_if=((f"d{i - 1}", "go"),)) for i in range(1, 60)]
    assert Decisions("chain", chain).count() == 61
    free = [Categorical(f"f{i}", ("a", "b", "c", "d")) for i in range(40)]
    assert Decisions("free", [*chain, *free]).count() == 61 * 4**40


def test_a_condition_on_a_subset_holds_while_it_contains_the_option() -> None:
    values: dict[str, object] = {"block": "wide", "inputs": ("a", "c"), "pool": "max", "depth": 3}
    assert make(CONDITIONAL, **values).as_dict() == values
    with pytest.raises(ArchitectureError, match="decision 'pool' is inactive here"):
        make(CONDITIONAL, **{**values, "inputs": ("a", "b")})


def test_inactive_decisions_have_no_value() -> None:
    plain = make(CONDITIONAL, block="plain", depth=1)
    assert [name for name, _ in plain.values] == ["block", "depth"]
    assert CONDITIONAL.is_active("kernel", {"block": "cell"})
    assert not CONDITIONAL.is_active("kernel", {"block": "wide"})
    assert not CONDITIONAL.is_active("pool", {"block": "plain"})


def test_a_decision_of_two_parents_is_active_under_either() -> None:
    tied = Decisions(
        "tied",
        [
            Categorical("a", ("x", "y")),
            Categorical("b", ("x", "y")),
            Categorical("c", ("1", "2", "3"), active_if=(("a", "x"), ("b", "x"))),
        ],
    )
    assert tied.count() == len(list(tied.encodings())) == 3 * 3 + 1


def test_subset_values_are_ordered_by_size_then_option() -> None:
    subset = Subset("inputs", ("a", "b", "c"), least=1, most=2)
    assert subset.values() == [("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c")]
    assert len(Subset("any", tuple("abcde")).values()) == 2**5


def test_integer_values_include_both_ends() -> None:
    assert list(Integer("depth", 1, 5, step=2).values()) == [1, 3, 5]
    assert list(Integer("depth", 2, 4).values()) == [2, 3, 4]


def test_order_of_the_given_values_does_not_matter() -> None:
    values = {"block": "cell", "kernel": "k5", "inputs": ("b",), "depth": 5}
    assert make(CONDITIONAL, **dict(reversed(list(values.items())))) == make(CONDITIONAL, **values)


def test_equivalent_encodings_are_one_architecture() -> None:
    assert make(ROW, a="skip", b="skip", c="k5") == make(ROW, a="skip", b="k5", c="skip")
    assert make(ROW, a="k5", b="skip", c="skip") != make(ROW, a="skip", b="k5", c="skip")
    raw = Architecture("row", (("a", "k3"), ("b", "skip"), ("c", "k3")))
    assert ROW.check(raw).as_dict() == {"a": "k3", "b": "k3", "c": "skip"}


@given(st.lists(st.sampled_from(["skip", "k3", "k5"]), max_size=6))
def test_canonical_maps_are_idempotent_and_keep_the_order_of_the_rest(row: list[str]) -> None:
    canonical = no_ops_last("skip")
    once = canonical(tuple(row))
    assert canonical(once) == once
    assert [value for value in once if value != "skip"] == [value for value in row if value != "skip"]


def test_samples_are_uniform_over_codes() -> None:
    decisions = Decisions("plain", [Categorical("a", ("x", "y", "z")), Integer("b", 0, 3)])
    generator = np.random.default_rng(0)
    counts = Counter(decisions.sample(generator) for _ in range(6000))
    assert len(counts) == 12
    assert chisquare(list(counts.values())).pvalue > 0.001


def test_conditional_samples_draw_each_active_decision_uniformly() -> None:
    generator = np.random.default_rng(0)
    samples = [CONDITIONAL.sample(generator) for _ in range(6000)]
    for name in CONDITIONAL.decisions:
        active = [sample[name] for sample in samples if name in sample]
        counts = Counter(active)
        assert len(counts) == len(CONDITIONAL.values(name))
        assert chisquare([counts[value] for value in CONDITIONAL.values(name)]).pvalue > 0.001
    assert all(CONDITIONAL.check(sample) == sample for sample in samples[:200])


def test_equivalent_codes_add_their_chances() -> None:
    generator = np.random.default_rng(1)
    counts = Counter(ROW.code(ROW.sample(generator)) for _ in range(8100))
    expected = Counter(ROW.code(ROW.architecture(values)) for values in ROW.encodings())
    assert chisquare([counts[c] for c in expected], [300 * n for n in expected.values()]).pvalue > 0.001


def test_log_ranges_draw_octaves_alike() -> None:
    decisions = Decisions("log", [Integer("width", 1, 63, log=True)])
    generator = np.random.default_rng(0)
    widths = np.array([decisions.sample(generator)["width"] for _ in range(6000)], dtype=int)
    octaves = np.bincount(np.log2(widths).astype(int), minlength=6)  # [1, 2), [2, 4), ... [32, 64)
    assert chisquare(octaves).pvalue > 0.001


@pytest.mark.parametrize("decisions", ALL, ids=lambda d: d.space)
def test_mutants_crosses_and_neighbours_belong_to_the_space(decisions: Decisions) -> None:
    generator = np.random.default_rng(0)
    everything = set(decisions.enumerate())
    for _ in range(100):
        one, other = decisions.sample(generator), decisions.sample(generator)
        assert decisions.mutate(one, generator, probability=0.3) in everything
        assert decisions.cross(one, other, generator) in everything
        assert set(decisions.neighbours(one)) <= everything - {one}


def test_mutation_with_probability_zero_changes_nothing_and_one_forgets_all() -> None:
    generator = np.random.default_rng(0)
    parent = make(CONDITIONAL, block="cell", kernel="k5", inputs=("a", "c"), pool="max", depth=5)
    assert CONDITIONAL.mutate(parent, generator, probability=0) == parent
    decisions = Decisions("plain", [Categorical("a", ("x", "y", "z"))])
    first = decisions.parse("0")
    counts = Counter(decisions.mutate(first, generator, probability=1) for _ in range(3000))
    assert chisquare(list(counts.values())).pvalue > 0.001


def test_mutation_redraws_the_stated_share() -> None:
    decisions = Decisions("plain", [Integer(f"d{i}", 0, 9) for i in range(20)])
    generator = np.random.default_rng(0)
    parent = decisions.parse("0" * 20)
    mutants = [decisions.mutate(parent, generator, probability=0.2) for _ in range(500)]
    changed = np.mean([[value != 0 for _, value in mutant.values] for mutant in mutants])
    assert changed == pytest.approx(0.2 * 0.9, abs=0.015)


def test_a_cross_takes_each_decision_from_a_parent() -> None:
    decisions = Decisions("plain", [Integer(f"d{i}", 0, 9) for i in range(8)])
    generator = np.random.default_rng(0)
    zeros, nines = decisions.parse("0" * 8), decisions.parse("9" * 8)
    children = [decisions.cross(zeros, nines, generator) for _ in range(400)]
    assert {value for child in children for _, value in child.values} == {0, 9}
    assert np.mean([[value for _, value in child.values] for child in children]) == pytest.approx(4.5, abs=0.3)


def test_neighbours_by_hand() -> None:
    plain = make(CONDITIONAL, block="plain", depth=3)
    assert [a.as_dict() for a in CONDITIONAL.neighbours(plain)] == [
        {"block": "cell", "kernel": "k3", "inputs": ("a",), "depth": 3},
        {"block": "wide", "inputs": ("a",), "depth": 3},
        {"block": "plain", "depth": 1},
        {"block": "plain", "depth": 5},
    ]
    assert sorted(ROW.code(a) for a in ROW.neighbours(ROW.parse("010"))) == ["000", "011", "012", "020", "110", "210"]


def test_codes_read_back() -> None:
    for decisions in ALL:
        for architecture in decisions.enumerate():
            assert decisions.parse(decisions.code(architecture)) == architecture
    assert CONDITIONAL.code(make(CONDITIONAL, block="plain", depth=5)) == "0___2"
    assert CONDITIONAL.parse("0,_,_,_,2") == CONDITIONAL.parse("0-_-_-_-2") == CONDITIONAL.parse("0___2")


def test_codes_of_many_values_are_separated() -> None:
    decisions = Decisions("many", [Integer("a", 0, 20), Integer("b", 0, 3)])
    architecture = make(decisions, a=17, b=2)
    assert decisions.code(architecture) == "17-2"
    assert decisions.parse("17-2") == decisions.parse("17,2") == architecture


def test_encodings_are_one_hot_with_zeros_for_inactive() -> None:
    architecture = make(CONDITIONAL, block="wide", inputs=("b", "c"), pool="mean", depth=1)
    rows = [[0, 0, 1], [0, 0], [0, 0, 0, 0, 0, 1], [0, 1], [1, 0, 0]]
    assert CONDITIONAL.encode(architecture).tolist() == list(itertools.chain(*rows))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"a": "k3", "b": "k3"}, "decision 'c' has no value; add it"),
        ({"a": "k3", "b": "k3", "c": "k7"}, "decision 'c' cannot be 'k7'; allowed are skip, k3, k5"),
        ({"a": "k3", "b": "k3", "c": "k5", "d": "k3"}, "decision 'd' is unknown; this architecture has a, b, c"),
    ],
)
def test_wrong_values_are_named(values: dict[str, str], message: str) -> None:
    with pytest.raises(ArchitectureError, match=f"space 'row': {message}"):
        ROW.architecture(values)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("01", "code '01' has 2 entries, needed are 3, one per decision; for example 000"),
        ("013", "code '013' has '3' for 'c'; allowed are 0 to 2"),
        ("0x1", "code '0x1' has 'x' for 'b'"),
        ("01²", "code '01²' has '²' for 'c'"),
        ("", "code '' has 0 entries"),
        ("01_", "decision 'c' has no value"),
    ],
)
def test_wrong_codes_are_named(code: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        ROW.parse(code)


def test_an_architecture_of_another_space_is_refused() -> None:
    with pytest.raises(
        ArchitectureError, match="it is of space 'row', needed is 'conditional'; use it with --space row"
    ):
        CONDITIONAL.check(ROW.parse("000"))


def test_names_must_differ() -> None:
    with pytest.raises(ArchitectureError, match=r"decision names must differ, got \['a', 'a'\]"):
        Decisions("twice", [Categorical("a", ("x",)), Categorical("a", ("y",))])


def test_every_product_of_values_is_an_encoding_when_nothing_is_conditional() -> None:
    products = itertools.product(*(ROW.values(name) for name in ROW.decisions))
    assert [tuple(values.values()) for values in ROW.encodings()] == list(products)


def test_encoding_many_equals_encoding_each() -> None:
    decisions = Decisions(
        "conditional",
        [
            Categorical("kind", ("conv", "pool")),
            Categorical("kernel", ("3", "5", "7"), active_if=(("kind", "conv"),)),
            Subset("skips", ("a", "b")),
        ],
    )
    architectures = list(decisions.enumerate())
    expected = np.array([decisions.encode(a) for a in architectures])
    assert np.array_equal(decisions.encode_all(architectures), expected)
