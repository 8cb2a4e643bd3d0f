"""Frozen dataclasses ↔ JSON by their annotations; an unknown key or a wrong value is refused."""

import dataclasses
import difflib
import os
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from avssl.errors import InputError


def to_json(value: Any) -> Any:
    """Gives `value` as plain JSON values: dataclasses are objects, tuples are arrays."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [to_json(inner) for inner in value]
    if isinstance(value, Mapping):
        return {key: to_json(inner) for key, inner in value.items()}
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def from_json(kind: Any, value: Any, where: str = "") -> Any:
    """Turns a JSON value into `kind`.

    Args:
        kind: a dataclass, tuple, list, dict, Literal, union, Path or plain type.
        value: what JSON gave; an instance of a dataclass is taken as it is.
        where: dotted place of the value, for the messages.

    Raises:
        InputError: an unknown or missing key, or a value of another kind; names the place.
    """
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else _dataclass(kind, value, where)
    if origin in (types.UnionType, typing.Union):
        for choice in inside:
            try:
                return from_json(choice, value, where)
            except InputError:
                continue
    elif origin is Literal:
        if value in inside:
            return value
        raise InputError(f"{where} {value!r}: must be one of {', '.join(map(repr, inside))}")
    elif origin in (tuple, list) and isinstance(value, list):
        return _sequence(origin, inside, value, where)
    elif kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    elif kind is Path and isinstance(value, str):
        return Path(value)
    elif type(value) is (type(None) if kind is None else origin or kind):
        return value
    raise InputError(f"{where} {value!r}: must be {getattr(kind, '__name__', kind)}")


def known_name(what: str, name: str, names: Sequence[str], otherwise: str) -> None:
    """Refuses a name that is not among `names`.

    Raises:
        InputError: names the nearest one, or says `otherwise`.
    """
    if name not in names:
        near = difflib.get_close_matches(str(name), names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else otherwise
        raise InputError(f"no {what} {name!r}; {hint}")


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise InputError(f"{where} {value!r}: must be an object")
    hints, dot = typing.get_type_hints(kind), f"{where}." if where else ""
    fields = {item.name: item for item in dataclasses.fields(kind)}
    for key in value:
        known_name("setting", f"{dot}{key}", [f"{dot}{name}" for name in fields], "not a field")
    for name, item in fields.items():
        needed = item.default is dataclasses.MISSING is item.default_factory
        if name not in value and needed:
            raise InputError(f"{dot}{name} is missing")
    return kind(**{key: from_json(hints[key], v, f"{dot}{key}") for key, v in value.items()})


def _sequence(origin: Any, inside: tuple[Any, ...], value: list[Any], where: str) -> Any:
    variadic = origin is list or (len(inside) == 2 and inside[1] is Ellipsis)
    each = [inside[0]] * len(value) if variadic else list(inside)
    if len(each) != len(value):
        raise InputError(f"{where} {value!r}: must have {len(each)} values")
    return origin(from_json(kind, inner, where) for kind, inner in zip(each, value, strict=True))
