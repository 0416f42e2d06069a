"""The values expressions work on: JSON's, timestamps and durations; and how they become text."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from core.expression.fault import ExpressionFault
from core.expression.fuel import Meter, text_cost
from core.expression.times import Duration, Timestamp, duration_text, time_text, timestamp_text

MAX_INT = 2**63 - 1
MIN_INT = -(2**63)
DEEPEST = 100
# Text of a longer number would cost more than its digits: conversion is quadratic.
LONGEST_INT_BITS = 1024
# Finding the shortest digits of a double takes up to 3 µs.
NUMBER_COST = 6

KINDS = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "double",
    str: "string",
    list: "list",
    dict: "map",
    Timestamp: "timestamp",
    Duration: "duration",
}

_quote = json.JSONEncoder(ensure_ascii=False).encode


def kind_of(value: Any) -> str:
    return KINDS.get(type(value), type(value).__name__)


def number_text(number: float) -> str:
    """As JavaScript prints it: `1` for 1.0, digits up to 1e21, the shortest that reads back."""
    if type(number) is int:
        if number.bit_length() > LONGEST_INT_BITS:
            raise ExpressionFault("a whole number of more than 1024 bits cannot become text")
        return str(number)
    text = repr(number)
    if "n" in text:
        raise ExpressionFault("a number that is not finite cannot become text")
    if number == 0:
        return "0"
    if "e" in text and 1e-7 <= abs(number) < 1e21:
        return format(Decimal(text), "f")
    return text.removesuffix(".0")


def scalar_text(value: Any) -> str | None:
    """What `string()` and interpolation make of a value that is not null, a list or a map."""
    kind = type(value)
    if kind is str:
        return value
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        return number_text(value)
    if kind is Timestamp or kind is Duration:
        return time_text(value)
    return None


def as_text(value: Any, meter: Meter) -> str:
    """What stands in a text where `${…}` stood."""
    if value is None:
        return ""
    text = scalar_text(value)
    if text is None:
        return json_text(value, meter)
    meter.charge(1 + text_cost(text))
    return text


def json_text(value: Any, meter: Meter) -> str:
    """Compact JSON in the order of the maps; paid for as it is written."""
    parts: list[str] = []
    _write(value, parts, meter, 0)
    return "".join(parts)


def canonical_text(value: Any, meter: Meter, depth: int = 0) -> str:
    """The same text exactly for equal values, whatever the order of keys or the kind of number."""
    meter.charge(3)
    kind = type(value)
    if kind is float and value.is_integer():
        return str(int(value))
    if kind is Timestamp or kind is Duration:
        return f"{kind.__name__}{int(value)}"
    if kind is list or kind is dict:
        _refuse_below(depth)
        meter.charge(len(value))
        if kind is list:
            return f"[{','.join([canonical_text(item, meter, depth + 1) for item in value])}]"
        pairs = [
            f"{_quoted(key, meter)}:{canonical_text(value[key], meter, depth + 1)}"
            for key in sorted(value)
        ]
        return f"{{{','.join(pairs)}}}"
    return _scalar_json(value, meter)


def weigh(value: Any, meter: Meter) -> None:
    """Pays for a whole value: a few operations can build one that no memory holds written out."""
    level, depth = [value], 0
    while level:
        _refuse_below(depth)
        depth += 1
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                meter.charge(text_cost(item))
            elif kind is list:
                meter.charge(len(item) + 1)
                below += item
            elif kind is dict:
                meter.charge(2 * len(item) + 1)
                below += item
                below += item.values()
        level = below


def settle(value: Any) -> Any:
    """Timestamps and durations become text; the value was weighed before."""
    kind = type(value)
    if kind is Timestamp:
        return timestamp_text(value)
    if kind is Duration:
        return duration_text(value)
    if kind is list:
        return [settle(item) for item in value]
    if kind is dict:
        return {key: settle(item) for key, item in value.items()}
    return value


def _write(value: Any, parts: list[str], meter: Meter, depth: int) -> None:
    kind = type(value)
    if kind is not list and kind is not dict:
        parts.append(_scalar_json(value, meter))
        return
    meter.charge(1)
    _refuse_below(depth)
    if not value:
        parts.append("[]" if kind is list else "{}")
        return
    before = "[" if kind is list else "{"
    if kind is list:
        for item in value:
            parts.append(before)
            _write(item, parts, meter, depth + 1)
            before = ","
        parts.append("]")
        return
    for key, item in value.items():
        parts.append(f"{before}{_quoted(key, meter)}:")
        _write(item, parts, meter, depth + 1)
        before = ","
    parts.append("}")


def _scalar_json(value: Any, meter: Meter) -> str:
    kind = type(value)
    if kind is str:
        return _quoted(value, meter)
    meter.charge(NUMBER_COST if kind is float else 2)
    if value is None:
        return "null"
    if kind is Timestamp or kind is Duration:
        return f'"{time_text(value)}"'
    text = scalar_text(value)
    if text is None:
        raise ExpressionFault(f"a {kind_of(value)} cannot become JSON")
    return text


def _quoted(text: Any, meter: Meter) -> str:
    if type(text) is not str:
        raise ExpressionFault(f"the keys of a map are strings, found {kind_of(text)}")
    cost = text_cost(text)
    meter.charge(1 + cost)
    quoted = _quote(text)
    meter.charge(text_cost(quoted) - cost)
    return quoted


def _refuse_below(depth: int) -> None:
    if depth > DEEPEST:
        raise ExpressionFault(f"a value is nested more than {DEEPEST} levels deep")
