"""The check of a table of latencies, as it stands in the report of a search."""

from __future__ import annotations

from palmette.report.latency import check_picture


def test_the_check_says_how_far_sums_are_from_measurements() -> None:
    picture = check_picture([(1.0, 1.0), (2.0, 2.0), (3.0, 4.0), (5.0, 5.0)])
    # measured 1, 2, 4, 5: mean 3, squares around it 4 + 1 + 1 + 4 = 10; one sum is 1 off: R2 0.9, RMSE sqrt(1/4)
    assert picture.title == "Latency check"
    assert "4 whole networks" in picture.note
    assert "R2 0.9000, RMSE 0.5 ms, at most 25.0% off" in picture.note
    assert picture.svg.count("<circle") == 4
