"""Gradual widening: which widths are open when."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from palmette.decision import Categorical
from palmette.decisions import Decisions
from palmette.errors import PalmetteError
from palmette.methods.spos import SPOS
from palmette.sampling.widening import Widening, WideningOptions

DECISIONS = Decisions(
    "toy", [Categorical("block", ("k3", "k5")), Categorical("w", ("1", "2", "3", "4", "5"), ordered=True)]
)


def drawn(progress: float, options: WideningOptions) -> list[dict[str, object]]:
    generator = np.random.default_rng(0)
    sampler = Widening(DECISIONS, options).at(progress)
    return [dict(sampler.sample(generator).as_dict()) for _ in range(300)]


@pytest.mark.parametrize(
    ("progress", "widths"),
    [(0.0, "5"), (0.49, "5"), (0.5, "5"), (0.56, "5"), (0.5625, "45"), (0.7, "2345"), (0.75, "12345"), (1.0, "12345")],
)
def test_widths_open_from_the_largest_downwards(progress: float, widths: str) -> None:
    found = drawn(progress, WideningOptions(full=0.5, opened=0.75))
    assert {row["w"] for row in found} == set(widths)
    assert {row["block"] for row in found} == {"k3", "k5"}  # never restricted


def test_what_is_open_is_drawn_uniformly() -> None:
    rows = drawn(0.9, WideningOptions(full=0.5, opened=0.75))
    counts = [sum(row["w"] == w for row in rows) for w in "12345"]
    assert stats.chisquare(counts).pvalue > 0.01


def test_without_a_transition_all_open_at_once() -> None:
    options = WideningOptions(full=0.5, opened=0.5)
    assert {row["w"] for row in drawn(0.49, options)} == {"5"}
    assert {row["w"] for row in drawn(0.5, options)} == set("12345")


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(
        PalmetteError, match=r"widening: full = 0.5, opened = 0.4 were given; .* opened not before full"
    ):
        WideningOptions(full=0.5, opened=0.4)
    with pytest.raises(PalmetteError, match="space 'plain' has no widths to open"):
        Widening(Decisions("plain", [Categorical("block", ("k3", "k5"))]), WideningOptions(opened=0.5))
    with pytest.raises(PalmetteError, match="bins and widening both say which paths are drawn"):
        SPOS(bins=7, widening=WideningOptions(opened=0.5))
