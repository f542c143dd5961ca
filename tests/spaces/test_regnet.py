"""The quantised linear rule: worked examples, ties and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palmette.errors import ArchitectureError
from palmette.spaces.regnet import (
    REGNETS,
    REGNETX,
    RegNet,
    line_exponents,
    published_regnets,
    quantised_linear,
    regnet_stages,
    rounded_to,
)


def test_the_worked_example_of_the_notes() -> None:
    regnet = REGNETS["RegNetX-200MF"]
    line = [np.array([number]) for number in (regnet.depth, regnet.w0, regnet.wa, regnet.wm)]
    assert line_exponents(*line)[:, 0].tolist() == [0, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3]
    depths, widths, exact = quantised_linear(*line, stages=4)
    assert exact.tolist() == [True]
    assert widths[:, 0].tolist() == [24, 56, 152, 368]
    assert depths[:, 0].tolist() == [1, 1, 4, 7]


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("RegNetX-400MF", [32, 64, 160, 384]),  # half-up: 400
        ("RegNetX-1.6GF", [72, 168, 408, 912]),  # half-up: 192; the tie is in the multiple of 8
        ("RegNetY-800MF", [64, 128, 320, 768]),  # half-up: 144 and 784
    ],
)
def test_ties_go_to_the_even_side(name: str, widths: list[int]) -> None:
    assert [stage.width for stage in published_regnets()[name].stages] == widths


def test_multiples_of_eight_are_rounded_half_to_even() -> None:
    assert rounded_to(np.array([180.0, 188.0, 12.0, 11.9]), 8).tolist() == [176, 192, 16, 8]


def test_exponents_are_rounded_half_to_even() -> None:
    # u_1 = 16 = 8 * 4^0.5: s_1 is one half
    exponents = line_exponents(*(np.array([number]) for number in (2, 8, 8.0, 4.0)))
    assert exponents[:, 0].tolist() == [0, 0]


def test_a_skipped_exponent_is_refused() -> None:
    steep = RegNet(depth=5, w0=8, wa=200.0, wm=2.0, group_width=8)  # 8, 208, ...: exponents 0, 5, 6, 6, 7
    with pytest.raises(ArchitectureError, match=r"exponents \[0, 5, 6, 7\]; needed are 0 to 3"):
        regnet_stages(steep, REGNETX)


def test_skipping_with_the_right_number_of_stages_is_refused_too() -> None:
    # 8, 88, 168, 248: exponents 0, 3, 4, 5 are four distinct widths, but exponents 1 and 2 are skipped
    _, _, exact = quantised_linear(4, 8, 80.0, 2.0, stages=4)
    assert not exact[0]


def test_widths_that_fall_together_are_refused() -> None:
    # exponents 0, 1, 2, 3 of 8 * 1.4^k: widths 8, 8 (11.2), ...
    regnet = RegNet(depth=8, w0=8, wa=2.0, wm=1.4, group_width=8)
    depths, widths, exact = quantised_linear(regnet.depth, regnet.w0, regnet.wa, regnet.wm, stages=4)
    assert (depths[:, 0] > 0).all()
    assert widths[:2, 0].tolist() == [8, 8]
    assert not exact[0]


def test_another_number_of_stages_than_the_skeleton_has_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="needed are 0 to 1"):
        regnet_stages(REGNETS["RegNetX-200MF"], replace(REGNETX, strides=(2, 2)))


def test_group_widths_are_adjusted_stage_by_stage() -> None:
    stages = published_regnets()["RegNetX-8.0GF"].stages  # sampled with g = 120
    assert [stage.group_width for stage in stages] == [80, 120, 120, 120]


@pytest.mark.parametrize("change", [{"wm": 1.0}, {"w0": 12}, {"w0": 0}, {"wa": -1.0}, {"depth": 0}])
def test_numbers_out_of_range_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ArchitectureError, match="allowed are depth"):
        replace(REGNETS["RegNetX-200MF"], **change)


def test_many_lines_at_once_equal_one_at_a_time() -> None:
    generator = np.random.default_rng(0)
    d, w0 = generator.integers(1, 64, 300), 8 * generator.integers(1, 33, 300)
    wa, wm = generator.uniform(8, 256, 300), generator.uniform(1.5, 3, 300)
    depths, widths, exact = quantised_linear(d, w0, wa, wm, stages=4)
    assert 5 < exact.sum() < 295
    for i in range(300):
        one = quantised_linear(d[i], w0[i], wa[i], wm[i], stages=4)
        assert (one[0][:, 0] == depths[:, i]).all()
        assert (one[1][:, 0] == widths[:, i]).all()
        assert one[2][0] == exact[i]
