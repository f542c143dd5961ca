"""What is claimed of several methods beside random search, on figures whose answer is known."""

from __future__ import annotations

import math

import pytest

from palmette.comparison.contrast import Entry, Rival, contrasted, verdict
from palmette.evaluation.metric import ACCURACY, PERPLEXITY
from palmette.evaluation.significance import unpaired_p

RANDOM = "random search"
EIGHT = tuple(0.80 + 0.001 * i for i in range(8))


def entry(name: str, figures: tuple[float, ...], rival: tuple[float, ...], *, paired: bool = True) -> Entry:
    return Entry(name, figures, {"flops": 1.0}, (Rival(RANDOM, rival, paired),))


def test_a_difference_in_every_pair_is_claimed_with_its_size() -> None:
    better = entry("evolution", tuple(x + 0.02 for x in EIGHT), EIGHT)
    (row,) = contrasted([better], ACCURACY)
    (contrast,) = row.contrasts
    assert contrast.p == contrast.corrected == 2 / 2**8
    assert contrast.difference.value == pytest.approx(0.02)
    assert verdict(row, contrast, ACCURACY) == (
        "evolution is better than random search: +2.00 points of accuracy, 95% interval +2.00 to +2.00, "
        "p = 0.0078 after correction."
    )


def test_several_entries_share_the_error_by_holms_method() -> None:
    entries = [entry(name, tuple(x + 0.02 for x in EIGHT), EIGHT) for name in "abcdefg"]
    corrected = [row.contrasts[0].corrected for row in contrasted(entries, ACCURACY)]
    assert corrected == [pytest.approx(7 * 2 / 2**8)] * 7  # 0.055: alone each would be claimed, together none is


def test_too_few_seeds_are_said_to_be_too_few() -> None:
    row = contrasted([entry("spos", (0.9, 0.9, 0.9), (0.1, 0.1, 0.1))], ACCURACY)[0]
    assert "cannot be told apart" in verdict(row, row.contrasts[0], ACCURACY)
    assert "With 3 seeds the test could show nothing" in verdict(row, row.contrasts[0], ACCURACY)


def test_enough_seeds_without_a_difference_are_not_said_to_be_too_few() -> None:
    mixed = tuple(x + (0.01 if i % 2 else -0.01) for i, x in enumerate(EIGHT))
    row = contrasted([entry("spos", mixed, EIGHT)], ACCURACY)[0]
    assert verdict(row, row.contrasts[0], ACCURACY).startswith("spos cannot be told apart from random search: ")
    assert "could show nothing" not in verdict(row, row.contrasts[0], ACCURACY)


def test_lower_perplexity_is_better() -> None:
    row = contrasted([entry("enas", tuple(80.0 + i for i in range(8)), tuple(90.0 + i for i in range(8)))], PERPLEXITY)[
        0
    ]
    assert row.contrasts[0].difference.value == pytest.approx(10.0)
    assert "enas is better" in verdict(row, row.contrasts[0], PERPLEXITY)


def test_unpaired_figures_are_permuted_across_both() -> None:
    other = tuple(x - 0.003 for x in EIGHT)
    row = contrasted([entry("nsga2", EIGHT, other, paired=False)], ACCURACY)[0]
    assert row.contrasts[0].p == unpaired_p(EIGHT, other) > 2 / 2**8


def test_one_seed_has_neither_interval_nor_claim() -> None:
    row = contrasted([entry("darts", (0.9,), (0.1,))], ACCURACY)[0]
    assert math.isnan(row.mean.low)
    text = verdict(row, row.contrasts[0], ACCURACY)
    assert "interval" not in text
    assert "With 1 seed the test could show nothing" in text
