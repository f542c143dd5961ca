from __future__ import annotations

import pytest

from palmette.report.wording import (
    cost_axis,
    cost_quantity,
    cost_title,
    curve_title,
    duration,
    escape,
    limits_in_words,
    percent,
    quantity,
)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1 k"),
        (27_180_000, "27.18 M"),
        (999_999, "1 M"),
        (12.34567, "12.35"),
        (3e9, "3 G"),
    ],
)
def test_quantities_have_four_digits_and_a_prefix(value: float, words: str) -> None:
    assert quantity(value).replace("\u00a0", " ") == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(1.23, "1.2 s"), (59.97, "1 min 0 s"), (252, "4 min 12 s"), (7509.5, "2 h 05 min")]
)
def test_durations_are_read_at_a_glance(seconds: float, words: str) -> None:
    assert duration(seconds).replace("\u00a0", " ") == words


def test_percent_has_two_decimals() -> None:
    assert percent(0.93418) == "93.42%"


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((None, 3e7), "at most 30 M"),
        ((1e6, None), "at least 1 M"),
        ((1e6, 3e7), "1 M to 30 M"),
        ((None, None), "no limit"),
    ],
)
def test_limits_name_their_ends(ends: tuple[float | None, float | None], words: str) -> None:
    assert limits_in_words("flops", *ends).replace("\u00a0", " ") == words


@pytest.mark.parametrize(
    ("value", "words"), [(0.8123456, "0.81235 ms"), (12, "12 ms"), (1234.5, "1,234.5 ms"), (123456, "123,456 ms")]
)
def test_milliseconds_stand_in_full_with_their_unit(value: float, words: str) -> None:
    assert cost_quantity("latency", value).replace("\u00a0", " ") == words
    assert limits_in_words("latency", None, value).replace("\u00a0", " ") == f"at most {words}"


def test_a_unit_stands_in_brackets_where_the_numbers_are_bare() -> None:
    assert (cost_title("latency"), cost_axis("latency"), cost_axis("flops")) == ("Latency", "Latency (ms)", "FLOPs")
    assert curve_title("expected latency") == "expected latency, ms"
    assert curve_title("expected flops") == "expected flops"


def test_escape_leaves_no_markup_and_no_character_that_xml_or_utf_8_refuses() -> None:
    assert escape("<a href='x'>&\"") == "&lt;a href=&#x27;x&#x27;&gt;&amp;&quot;"
    assert escape("a\x00b\ud800c\nd") == "a\ufffdb\ufffdc\nd"
