"""Functions on strings. Each pays before it works; lengths and places count characters."""

from __future__ import annotations

from typing import Any

from core.expression.fault import ExpressionFault
from core.expression.fuel import Meter, search_cost, text_cost
from core.expression.values import NUMBER_COST, kind_of, scalar_text

PART_COST = 3


def string(value: Any, role: str) -> str:
    if type(value) is str:
        return value
    raise ExpressionFault(f"{role} must be a string, found {kind_of(value)}")


def count(value: Any, role: str) -> int:
    """A whole number from 0 on; JSON may have written it as 2.0."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or value < 0:
        found = value if type(value) is int and value.bit_length() < 64 else kind_of(value)
        raise ExpressionFault(f"{role} must be a whole number from 0 on, found {found}")
    return value


def contains(meter: Meter, text: Any, wanted: Any) -> bool:
    text, wanted = _searched(meter, text, wanted)
    return wanted in text


def starts_with(meter: Meter, text: Any, wanted: Any) -> bool:
    text, wanted = string(text, "the text"), string(wanted, "the wanted text")
    meter.charge(len(wanted) >> 6)
    return text.startswith(wanted)


def ends_with(meter: Meter, text: Any, wanted: Any) -> bool:
    text, wanted = string(text, "the text"), string(wanted, "the wanted text")
    meter.charge(len(wanted) >> 6)
    return text.endswith(wanted)


def index_of(meter: Meter, text: Any, wanted: Any, start: Any = 0) -> int:
    text, wanted = _searched(meter, text, wanted)
    return text.find(wanted, count(start, "the start"))


def substring(meter: Meter, text: Any, start: Any, end: Any = None) -> str:
    text = string(text, "the text")
    first, last = bounds(start, end, len(text))
    meter.charge(text_cost(text) * (last - first) // (len(text) or 1))
    return text[first:last]


def bounds(start: Any, end: Any, length: int) -> tuple[int, int]:
    """What lies beyond the end is left out: "the first ten" is fine where there are three."""
    first = count(start, "the start")
    last = length if end is None else count(end, "the end")
    if first > last and end is not None:
        raise ExpressionFault(f"the start ({first}) lies after the end ({last})")
    return min(first, length), min(last, length)


def replace(meter: Meter, text: Any, old: Any, new: Any, limit: Any = None) -> str:
    text, old = _searched(meter, text, old)
    new = string(new, "the new text")
    times = text.count(old)
    if limit is not None:
        times = min(times, count(limit, "the limit"))
    narrow = text.isascii() and new.isascii()
    # A hit costs as much as eight characters, however short the new text.
    meter.charge((len(text) + times * max(len(new), 8)) >> (4 if narrow else 3))
    return text.replace(old, new, times)


def split(meter: Meter, text: Any, separator: Any, limit: Any = None) -> list[str]:
    """An empty separator gives the characters."""
    text, separator = _searched(meter, text, separator)
    meter.charge(text_cost(text))
    most = len(text) + 1 if limit is None else count(limit, "the limit")
    if most == 0:
        return []
    if separator:
        cuts = min(text.count(separator), most - 1)
        meter.charge(PART_COST * (cuts + 1))
        return text.split(separator, cuts)
    meter.charge(PART_COST * min(len(text), most))
    return [*text[: most - 1], text[most - 1 :]] if most <= len(text) else list(text)


def join(meter: Meter, items: Any, separator: Any = "") -> str:
    if type(items) is not list:
        raise ExpressionFault(f"join needs a list, found {kind_of(items)}")
    separator = string(separator, "the separator")
    meter.charge(2 * len(items) + text_cost(separator) * len(items))
    parts: list[str] = []
    for item in items:
        part = scalar_text(item)
        if part is None:
            raise ExpressionFault(f"join cannot take {kind_of(item)}: make it a string first")
        meter.charge(text_cost(part) + (0 if type(item) is str else NUMBER_COST))
        parts.append(part)
    return separator.join(parts)


def trim(meter: Meter, text: Any) -> str:
    text = string(text, "the text")
    meter.charge(text_cost(text))
    return text.strip()


def lower_ascii(meter: Meter, text: Any) -> str:
    return _bytes_of(meter, text).lower().decode("utf-8", "surrogatepass")


def upper_ascii(meter: Meter, text: Any) -> str:
    return _bytes_of(meter, text).upper().decode("utf-8", "surrogatepass")


def _searched(meter: Meter, text: Any, wanted: Any) -> tuple[str, str]:
    text, wanted = string(text, "the text"), string(wanted, "the wanted text")
    meter.charge(search_cost(len(text), len(wanted)))
    return text, wanted


def _bytes_of(meter: Meter, text: Any) -> bytes:
    # The case of bytes is ASCII's own: other letters stay as they are.
    text = string(text, "the text")
    meter.charge(1 + 2 * text_cost(text))
    return text.encode("utf-8", "surrogatepass")
