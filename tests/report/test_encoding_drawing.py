"""The picture of an encoding: each mark where its channel and column are, readable at any number of columns."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from palmette.report.encoding import GAP, MARGIN, ROOM, ROW, WIDEST, draw_encoding

SVG = "{http://www.w3.org/2000/svg}"


def rectangles(svg: str) -> list[tuple[float, float]]:
    return [(float(r.get("x", "")), float(r.get("y", ""))) for r in ElementTree.fromstring(svg).iter(f"{SVG}rect")]


def test_marks_stand_in_the_frame_of_their_group_and_empty_groups_have_none() -> None:
    svg = draw_encoding([(0, 0), (3, 2)], 5, {"reads": 2, "gate": 0, "writes": 3})
    second = 2 * GAP + 2 * ROW
    assert rectangles(svg) == [
        (MARGIN, GAP),
        (MARGIN, second),
        (MARGIN, GAP),
        (MARGIN + 2 * WIDEST, second + ROW),
    ]
    texts = [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert texts == ["reads", "writes", "5 columns, from the first op to the last"]


@pytest.mark.parametrize("columns", [20, 353, 2000])
def test_letters_keep_their_size_however_many_columns_there_are(columns: int) -> None:
    svg = draw_encoding([(0, columns - 1)], columns, {"reads": 1})
    width = float(ElementTree.fromstring(svg).get("width", ""))
    assert ElementTree.fromstring(svg).get("viewBox", "").split()[2] == f"{width:.0f}"
    assert width <= MARGIN + ROOM + GAP
    assert max(x for x, _ in rectangles(svg)) < width
