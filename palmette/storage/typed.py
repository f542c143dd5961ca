"""Typed: plain data from a file, as TOML and JSON hold them, checked against the types of the record they are for.

What a file holds may have been cut, altered or written by another version; a record is made of it only if every value
is of the type that the record's field has.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
SIMPLE = (str, bool, int, type(None))


def record(kind: type[T], table: object, *, where: str = "") -> T:
    """Return the dataclass ``kind`` made of ``table``; a field that is not there keeps its default.

    Raises:
        TypeError: a key that is unknown or missing, or a value of another type; the text says where.
    """
    return typing.cast(T, typed(kind, table, where=where or kind.__name__))


def typed(kind: Any, value: Any, *, where: str) -> Any:
    """Return a plain value as the type ``kind``: lists as tuples where these are wanted, text as paths.

    Args:
        kind: a dataclass, ``str``, ``bool``, ``int``, ``float``, None, ``Path``, a ``Literal``, or a union, tuple,
            sequence or mapping of these; of any other type the value is returned as it is.
        value: of the types that JSON has, or a record of its kind already.
        where: of the value, for the error.

    Raises:
        TypeError: it is none.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass(typing.cast(type, kind), value, where)
    if origin in (typing.Union, types.UnionType):
        return _one_of(inner, value, where)
    if origin is typing.Literal:
        fits = any(value == allowed and type(value) is type(allowed) for allowed in inner)
        return value if fits else _refuse(where, value, " or ".join(map(repr, inner)))
    if kind in SIMPLE or kind is None:
        wanted = type(None) if kind is None else kind
        return value if type(value) is wanted else _refuse(where, value, f"of type {wanted.__name__}")
    if kind is float:
        return value if _is_number(value) else _refuse(where, value, "a number")
    if kind is Path:
        return Path(typed(str, value, where=where))
    if origin is tuple or (isinstance(origin, type) and issubclass(origin, Sequence)):
        return _list(origin, inner, value, where)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            _refuse(where, value, "a table")
        return {key: typed(inner[1], each, where=f"{where}.{key}") for key, each in value.items()}
    return value


def _dataclass(kind: type, value: Any, where: str) -> Any:
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        _refuse(where, value, "a table")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    for key in value:
        if key not in fields:
            raise TypeError(f"{where} has no {key!r}")
    for name, field in fields.items():
        if name not in value and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise TypeError(f"{where} lacks {name!r}")
    return kind(**{key: typed(hints[key], each, where=f"{where}.{key}") for key, each in value.items()})


def _one_of(kinds: Sequence[Any], value: Any, where: str) -> Any:
    for kind in kinds:
        try:
            return typed(kind, value, where=where)
        except TypeError as error:
            reason = error
    raise reason


def _list(origin: type, inner: Sequence[Any], value: Any, where: str) -> Any:
    if not isinstance(value, list | tuple):
        _refuse(where, value, "a list")
    endless = origin is not tuple or inner[1:] == (...,)
    kinds = [inner[0]] * len(value) if endless else inner
    if len(kinds) != len(value):
        _refuse(where, value, f"a list of {len(kinds)}")
    made = [typed(kind, each, where=f"{where}.{i}") for i, (kind, each) in enumerate(zip(kinds, value, strict=True))]
    return tuple(made) if origin is tuple else made


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) < 1 << 1000  # more is no float


def _refuse(where: str, value: Any, wanted: str) -> typing.NoReturn:
    shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}..."
    raise TypeError(f"{where} is {shown}; it must be {wanted}")
