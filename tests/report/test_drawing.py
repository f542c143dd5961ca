from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from palmette.report.contents import LayerRow
from palmette.report.drawing import draw

SVG = "{http://www.w3.org/2000/svg}"
LAYERS = [
    LayerRow("stem", None, (), (32, 16, 16), {"flops": 500}),
    LayerRow("layer1", "wide", ("narrow", "wide", "skip"), (64, 8, 8), {"flops": 2000}),
    LayerRow("layer2", "skip", ("narrow", "wide", "skip"), (64, 8, 8), {"flops": 0}),
]


def test_each_layer_is_one_block_with_its_option_and_shape() -> None:
    blocks = _blocks(draw(LAYERS))
    assert len(blocks) == 3
    assert _texts(blocks[0])[:3] == ["fixed", "stem", "32 × 16 × 16"]
    assert _texts(blocks[1])[:3] == ["layer1", "wide", "64 × 8 × 8"]


def test_the_option_taken_is_the_filled_mark() -> None:
    marks = [circle.get("class") for circle in _blocks(draw(LAYERS))[1].iter(f"{SVG}circle")]
    assert marks == ["open", "taken", "open"]


def test_several_options_taken_are_several_filled_marks() -> None:
    layer = LayerRow("edges", "a + c", ("a", "b", "c"), (8,), {}, taken=("a", "c"))
    marks = [circle.get("class") for circle in _blocks(draw([layer]))[0].iter(f"{SVG}circle")]
    assert marks == ["taken", "open", "taken"]


def test_many_options_are_counted_in_words() -> None:
    layer = LayerRow("width", "24", [str(8 * i) for i in range(1, 41)], (24, 8, 8), {})
    assert "3 of 40" in _texts(_blocks(draw([layer]))[0])


def test_cost_bars_are_relative_to_the_largest_layer() -> None:
    bars = [rect for rect in ElementTree.fromstring(draw(LAYERS)).iter(f"{SVG}rect") if rect.get("class") == "cost"]
    lengths = [float(rect.get("width", "")) for rect in bars]
    assert lengths[0] == pytest.approx(lengths[1] / 4)
    assert lengths[2] == 0


def test_fewer_columns_make_a_narrower_and_higher_drawing() -> None:
    wide, narrow = (ElementTree.fromstring(draw(LAYERS, columns=columns)) for columns in (3, 1))
    assert float(narrow.get("width", "")) < float(wide.get("width", ""))
    assert float(narrow.get("height", "")) > float(wide.get("height", ""))


def test_names_from_data_cannot_become_markup() -> None:
    hostile = '"><script>alert(1)</script>\x00\ud800&'
    layer = LayerRow(hostile, hostile, (hostile, "b"), (1,), {"flops": 3})
    drawing = draw([layer])
    assert "<script" not in drawing
    ElementTree.fromstring(drawing.encode())  # well-formed, and encodable


def test_no_layers_make_an_empty_drawing() -> None:
    assert _blocks(draw([])) == []


def test_columns_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="columns is 0"):
        draw(LAYERS, columns=0)


def _blocks(drawing: str) -> list[ElementTree.Element]:
    return [group for group in ElementTree.fromstring(drawing).iter(f"{SVG}g") if group.get("class") == "layer"]


def _texts(block: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in block.iter(f"{SVG}text")]


def test_an_option_has_one_colour_even_where_layers_offer_different_options() -> None:
    with_skip = LayerRow("one", "k3", ["skip", "k3", "k5"], [8, 4, 4], {"flops": 5})
    without = LayerRow("two", "k3", ["k3", "k5"], [8, 4, 4], {"flops": 5})
    first, second = re.findall(r'rx="2" fill="(#\w+)"', draw([with_skip, without]))
    assert first == second
