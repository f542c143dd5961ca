"""e_fit: zero for networks that lie on a line, the size of the deviation for others."""

from __future__ import annotations

import numpy as np
import pytest

from palmette.design_spaces.ladder import ladder
from palmette.design_spaces.line_fit import LineGrid
from palmette.design_spaces.population import sample
from palmette.spaces.regnet import quantised_linear

GRID = LineGrid(64)


def test_a_line_of_the_grid_is_found_without_error() -> None:
    wa, wm = float(np.geomspace(1, 256, 64)[40]), float(np.linspace(1.5, 3, 32)[20])
    depths, widths, exact = quantised_linear(20, 48, wa, wm, stages=4)
    assert exact[0]
    fit = GRID.fit(np.repeat(widths[:, 0], depths[:, 0]))
    assert fit.error == 0
    assert fit.w0 == 48


def test_one_network_of_equal_widths_but_one_by_hand() -> None:
    # 64 eight times is the line of w0 = 64 and no slope that counts; one block of 128 adds ln 2 / 8 at most
    fit = GRID.fit([64] * 8)
    assert fit.error == 0
    shrinking = GRID.fit([128] * 4 + [64] * 4)  # no line falls: the best is constant, at one of them or between
    assert shrinking.error == pytest.approx(np.log(2) / 2, abs=1e-5)


def test_published_regnets_are_close_to_a_line() -> None:
    from palmette.spaces.regnet import published_regnets

    for name in ("RegNetX-200MF", "RegNetX-400MF", "RegNetX-1.6GF", "RegNetX-12GF"):
        assert GRID.fit(published_regnets()[name].widths_per_block()).error < 0.12, name


def test_mean_error_of_fit_falls_from_c_to_e() -> None:
    spaces, means = ladder(), []
    for name in ("AnyNetX_C", "AnyNetX_D", "AnyNetX_E"):
        population = sample(spaces[name], 40, ranges={"flops": (360e6, 400e6)})
        networks = (spaces[name].anynet(population.row(i)) for i in range(40))
        means.append(np.mean([GRID.fit(network.widths_per_block()).error for network in networks]))
    assert means[0] > means[1] > means[2]
