"""Plain data from files against the types of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from palmette.storage.typed import record, typed


@dataclass(frozen=True)
class Inner:
    rate: float
    name: str = "x"


@dataclass(frozen=True)
class Outer:
    count: int
    inner: Inner
    sizes: tuple[int, ...] = ()
    ends: tuple[float, float | None] = (0.0, None)
    kind: Literal["a", "b"] = "a"
    table: Mapping[str, Sequence[Inner]] = field(default_factory=dict)
    path: Path | None = None
    hidden: int = field(init=False, default=7)


def test_a_record_is_made_of_what_json_holds() -> None:
    table = {"count": 3, "inner": {"rate": 1}, "sizes": [1, 2], "ends": [0.5, None], "kind": "b", "path": "a/b"}
    made = record(Outer, {**table, "table": {"k": [{"rate": 0.5, "name": "y"}]}})
    assert made == Outer(3, Inner(1), (1, 2), (0.5, None), "b", {"k": [Inner(0.5, "y")]}, Path("a/b"))


def test_a_part_that_is_a_record_already_is_taken() -> None:
    inner = Inner(2.0)
    assert record(Outer, {"count": 1, "inner": inner}).inner is inner


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"count": True}, "Outer.count is True; it must be of type int"),
        ({"count": 3.0}, "Outer.count is 3.0; it must be of type int"),
        ({"inner": {"rate": "1"}}, "Outer.inner.rate is '1'; it must be a number"),
        ({"inner": {"rate": 10**400}}, "it must be a number"),
        ({"inner": {}}, "Outer.inner lacks 'rate'"),
        ({"inner": [1]}, r"Outer.inner is \[1\]; it must be a table"),
        ({"other": 1}, "Outer has no 'other'"),
        ({"hidden": 1}, "Outer has no 'hidden'"),
        ({"sizes": [1, "2"]}, "Outer.sizes.1 is '2'; it must be of type int"),
        ({"sizes": "12"}, "Outer.sizes is '12'; it must be a list"),
        ({"ends": [1.0]}, r"Outer.ends is \[1.0\]; it must be a list of 2"),
        ({"kind": "c"}, "Outer.kind is 'c'; it must be 'a' or 'b'"),
        ({"table": {"k": [{"rate": None}]}}, "Outer.table.k.0.rate is None; it must be a number"),
        ({"path": 7}, "Outer.path is 7"),
    ],
)
def test_another_type_is_told_with_its_place(change: dict[str, Any], why: str) -> None:
    with pytest.raises(TypeError, match=why):
        record(Outer, {"count": 1, "inner": {"rate": 0.0}, **change})


def test_a_number_of_any_kind_is_a_float_and_keeps_its_kind() -> None:
    assert typed(float, 3, where="x") == 3
    assert isinstance(typed(float, 3, where="x"), int)
