"""Reading members and items. What is missing is null, and so is a member of null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.expression.fault import ExpressionFault
from core.expression.fuel import Meter, exhausted
from core.expression.macros import Evaluate
from core.expression.values import kind_of


def from_scope(root: str, names: tuple[str, ...], position: int) -> Evaluate:
    cost = 1 + len(names)

    def run(scope: Mapping[str, Any], meter: Meter, _cells: list[Any]) -> Any:
        meter.left -= cost
        if meter.left < 0:
            raise exhausted(meter)
        value = scope.get(root)
        for name in names:
            if type(value) is dict:
                value = value.get(name)
            elif value is None:
                return None
            else:
                raise _no_member(value, name).at(position)
        return value

    return run


def snapshot(read: Evaluate) -> Evaluate:
    """A whole top-level name, copied: the map behind `vars` goes on changing, the answer must not.

    Without it `set: {all: ${vars}}` would put a map into itself.
    """

    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        value = read(scope, meter, cells)
        if type(value) is not dict:
            return value
        meter.charge(len(value))
        return dict(value)

    return run


def from_cell(cell: int, names: tuple[str, ...], position: int) -> Evaluate:
    cost = 1 + len(names)

    def run(_scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        meter.left -= cost
        if meter.left < 0:
            raise exhausted(meter)
        value = cells[cell]
        for name in names:
            if type(value) is dict:
                value = value.get(name)
            elif value is None:
                return None
            else:
                raise _no_member(value, name).at(position)
        return value

    return run


def from_value(target: Evaluate, names: tuple[str, ...], position: int) -> Evaluate:
    read = from_cell(0, names, position)

    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        return read(scope, meter, [target(scope, meter, cells)])

    return run


def presence(target: Evaluate, name: str, position: int) -> Evaluate:
    """`has`: a member that is there and null counts."""

    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        meter.charge(1)
        value = target(scope, meter, cells)
        if type(value) is dict:
            return name in value
        if value is None:
            return False
        raise _no_member(value, name).at(position)

    return run


def item(target: Evaluate, key: Evaluate, position: int) -> Evaluate:
    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        meter.charge(2)
        value, wanted = target(scope, meter, cells), key(scope, meter, cells)
        if type(value) is not list:
            return _member(value, wanted, position)
        place = _place(wanted, position)
        if 0 <= place < len(value):
            return value[place]
        shown = place if place.bit_length() < 64 else "so large a number"
        raise ExpressionFault(f"a list of {len(value)} has no item {shown}", position)

    return run


def item_or_null(target: Evaluate, key: Evaluate, position: int) -> Evaluate:
    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        meter.charge(2)
        value, wanted = target(scope, meter, cells), key(scope, meter, cells)
        if type(value) is not list:
            return _member(value, wanted, position)
        place = _place(wanted, position)
        return value[place] if 0 <= place < len(value) else None

    return run


def _member(value: Any, key: Any, position: int) -> Any:
    if value is None:
        return None
    if type(value) is not dict:
        raise ExpressionFault(f"{kind_of(value)} has no items", position)
    if type(key) is not str:
        raise ExpressionFault(f"a map is looked into by a string, found {kind_of(key)}", position)
    return value.get(key)


def _place(key: Any, position: int) -> int:
    if type(key) is float and key.is_integer():
        return int(key)
    if type(key) is int:
        return key
    raise ExpressionFault(
        f"a list is looked into by a whole number, found {kind_of(key)}", position
    )


def _no_member(value: Any, name: str) -> ExpressionFault:
    hint = ": use [index] or a macro such as map" if type(value) is list else ""
    return ExpressionFault(f'{kind_of(value)} has no member "{name[:40]}"{hint}')
