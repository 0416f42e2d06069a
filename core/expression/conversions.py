"""Functions from one kind of value to another, and on numbers and times."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from core.expression.fault import ExpressionFault
from core.expression.fuel import Meter, text_cost
from core.expression.operators import NUMBERS, finite, whole
from core.expression.texts import count, string
from core.expression.times import (
    CALENDAR_PARTS,
    DURATION_PARTS,
    SECOND,
    Duration,
    Timestamp,
    calendar,
    instant,
    parse_duration,
    parse_timestamp,
)
from core.expression.values import NUMBER_COST, json_text, kind_of, scalar_text

LONGEST_NUMBER = 40
# A double has at most 17 digits that mean something.
MOST_DIGITS = 15

_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_BOOLS = {
    **dict.fromkeys(("true", "True", "TRUE", "t", "1"), True),
    **dict.fromkeys(("false", "False", "FALSE", "f", "0"), False),
}
# Its own context: the one of the thread may have been set to another precision.
_EXACT = Context(prec=400)


def to_string(meter: Meter, value: Any) -> str:
    text = scalar_text(value)
    if text is None:
        hint = ": use json()" if type(value) in (list, dict) else ""
        raise ExpressionFault(f"string cannot take {kind_of(value)}{hint}")
    meter.charge(NUMBER_COST if type(value) is not str else 0)
    return text


def to_json(meter: Meter, value: Any) -> str:
    text = json_text(value, meter)
    meter.charge(text_cost(text))
    return text


def to_int(meter: Meter, value: Any) -> int:
    """Doubles lose their fraction; a timestamp is its seconds since 1970."""
    meter.charge(3)
    kind = type(value)
    if kind is int:
        return whole(value)
    if kind is float:
        return whole(int(finite(value)))
    if kind is Timestamp:
        return int(value) // SECOND
    if kind is str and _WHOLE.fullmatch(value):
        return whole(int(value))
    raise _cannot("int", value)


def to_double(meter: Meter, value: Any) -> float:
    meter.charge(3)
    if type(value) in NUMBERS:
        return _float(value)
    if type(value) is str and len(value) <= LONGEST_NUMBER and _NUMBER.fullmatch(value):
        return finite(float(value))
    raise _cannot("double", value)


def to_bool(_meter: Meter, value: Any) -> bool:
    if type(value) is bool:
        return value
    if type(value) is str and value in _BOOLS:
        return _BOOLS[value]
    raise _cannot("bool", value)


def to_timestamp(meter: Meter, value: Any) -> Timestamp:
    """From text, or from whole seconds since 1970."""
    meter.charge(10)
    if type(value) is Timestamp:
        return value
    if type(value) is int:
        return instant(whole(value) * SECOND)
    return parse_timestamp(string(value, "what timestamp reads"))


def to_duration(meter: Meter, value: Any) -> Duration:
    meter.charge(10)
    return (
        value if type(value) is Duration else parse_duration(string(value, "what duration reads"))
    )


def absolute(_meter: Meter, value: Any) -> Any:
    number = _number("abs", value)
    return whole(abs(whole(number))) if type(number) is int else abs(number)


def floor(_meter: Meter, value: Any) -> int:
    return whole(math.floor(_finite_number("floor", value)))


def ceil(_meter: Meter, value: Any) -> int:
    return whole(math.ceil(_finite_number("ceil", value)))


def rounded(meter: Meter, value: Any, digits: Any = None) -> Any:
    """Half goes away from zero, as people round: of the number as it is written, 2.675 to 2.68."""
    number = _finite_number("round", value)
    places = 0 if digits is None else count(digits, "the number of digits")
    meter.charge(10)
    if type(number) is int:
        return whole(number)
    if places > MOST_DIGITS:
        raise ExpressionFault(f"round keeps at most {MOST_DIGITS} digits")
    written = Decimal(repr(number))
    nearest = written.quantize(Decimal((0, (1,), -places)), ROUND_HALF_UP, _EXACT)
    return whole(int(nearest)) if digits is None else float(nearest)


def accessor(name: str) -> Callable[..., int]:
    """`getHours` and its like; the time zone is UTC unless an offset is given."""

    def read(meter: Meter, value: Any, zone: Any = None) -> int:
        meter.charge(4)
        if type(value) is Timestamp:
            offset = "UTC" if zone is None else string(zone, "the time zone")
            return CALENDAR_PARTS[name](calendar(value, offset))
        if type(value) is Duration and name in DURATION_PARTS and zone is None:
            length = abs(int(value)) // DURATION_PARTS[name]
            return length if value >= 0 else -length
        raise ExpressionFault(f"{name} cannot take {kind_of(value)}: use timestamp() on the text")

    return read


def _number(name: str, value: Any) -> Any:
    if type(value) in NUMBERS:
        return value
    raise ExpressionFault(f"{name} needs a number, found {kind_of(value)}")


def _finite_number(name: str, value: Any) -> Any:
    number = _number(name, value)
    return number if type(number) is int else finite(number)


def _float(value: float) -> float:
    try:
        return finite(float(value))
    except OverflowError as error:
        raise ExpressionFault("this whole number is too large for a double") from error


def _cannot(name: str, value: Any) -> ExpressionFault:
    found = f'"{value[:40]}"' if type(value) is str else kind_of(value)
    return ExpressionFault(f"{name} cannot read {found}")
