"""Architectures are data: equal, hashable, and the same in JSON everywhere."""

from __future__ import annotations

import dataclasses
import json

import pytest

from palmette.architecture import Architecture
from palmette.errors import ArchitectureError

ONE = Architecture("toy", (("block", "k3"), ("depth", 4), ("skips", ("a", "b"))))


def test_json_reads_back_to_an_equal_architecture() -> None:
    again = Architecture.from_json(ONE.to_json())
    assert again == ONE
    assert hash(again) == hash(ONE)
    assert again["skips"] == ("a", "b")


def test_json_is_one_versioned_line() -> None:
    assert ONE.to_json() == (
        '{"palmette_architecture": 1, "space": "toy", "values": {"block": "k3", "depth": 4, "skips": ["a", "b"]}}'
    )


def test_id_depends_on_space_and_values_only() -> None:
    assert ONE.id == Architecture.from_json(ONE.to_json()).id == "3151c1c4e1"
    assert dataclasses.replace(ONE, space="other").id != ONE.id
    assert len(ONE.id) == 10


def test_values_are_read_by_decision() -> None:
    assert ONE["depth"] == 4
    assert "skips" in ONE
    assert "absent" not in ONE
    assert ONE.as_dict() == {"block": "k3", "depth": 4, "skips": ("a", "b")}


def test_architectures_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ONE.space = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "no 'palmette_architecture' version"),
        ("{}", "no 'palmette_architecture' version"),
        (
            '{"palmette_architecture": 2, "space": "toy", "values": {}}',
            "schema version 2 was given, this version reads 1",
        ),
        ('{"palmette_architecture": 1, "space": 3, "values": {}}', "'space' must be a name"),
        ('{"palmette_architecture": 1, "space": "toy", "values": []}', "'values' a mapping"),
        (
            '{"palmette_architecture": 1, "space": "toy", "values": {"a": 1.5}}',
            "decision 'a' has value 1.5; allowed are",
        ),
        ('{"palmette_architecture": 1, "space": "toy", "values": {"a": true}}', "decision 'a' has value True"),
        ('{"palmette_architecture": 1, "space": "toy", "values": {"a": [1]}}', r"decision 'a' has value \[1\]"),
    ],
)
def test_foreign_json_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message) as error:
        Architecture.from_json(text)
    assert "\n" not in str(error.value)


def test_a_number_too_large_for_an_option_survives_json() -> None:
    large = Architecture("toy", (("depth", 10**20),))
    assert Architecture.from_json(json.dumps(json.loads(large.to_json()))) == large
