"""CEL's operators over JSON values: whole numbers and doubles mix, kinds otherwise do not."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from core.expression.fault import ExpressionFault
from core.expression.fuel import Meter, text_cost
from core.expression.times import Duration, Timestamp, instant, span
from core.expression.values import MAX_INT, MIN_INT, kind_of

Operator = Callable[[Any, Any, Meter], Any]

NUMBERS = frozenset((int, float))
_ORDERS = {
    int: "number",
    float: "number",
    str: "string",
    bool: "bool",
    Timestamp: "timestamp",
    Duration: "duration",
}


def order_of(value: Any) -> str | None:
    """Values of one order can be compared by size; None has no order."""
    return _ORDERS.get(type(value))


def whole(value: int) -> int:
    if MIN_INT <= value <= MAX_INT:
        return value
    raise ExpressionFault("whole numbers have 64 bits: the result is too large")


def finite(value: float) -> float:
    if math.isfinite(value):
        return value
    raise ExpressionFault("the result is not a finite number")


def mismatch(sign: str, left: Any, right: Any) -> ExpressionFault:
    return ExpressionFault(f'"{sign}" cannot take {kind_of(left)} and {kind_of(right)}')


def add(left: Any, right: Any, meter: Meter) -> Any:
    kind, other = type(left), type(right)
    if kind is int and other is int:
        # The operands first: adding enormous numbers would take time that nobody paid for.
        return whole(whole(left) + whole(right))
    if kind is str and other is str:
        meter.charge(text_cost(left) + text_cost(right))
        return left + right
    if kind is list and other is list:
        meter.charge(len(left) + len(right))
        return left + right
    if kind in NUMBERS and other in NUMBERS:
        return _double("+", operator.add, left, right)
    if kind is Duration and other is Duration:
        return span(int(left) + int(right))
    if (kind, other) in ((Timestamp, Duration), (Duration, Timestamp)):
        return instant(int(left) + int(right))
    raise mismatch("+", left, right)


def subtract(left: Any, right: Any, _meter: Meter) -> Any:
    kind, other = type(left), type(right)
    if kind is int and other is int:
        return whole(whole(left) - whole(right))
    if kind in NUMBERS and other in NUMBERS:
        return _double("-", operator.sub, left, right)
    if kind is Timestamp and other is Duration:
        return instant(int(left) - int(right))
    if kind is other and kind in (Timestamp, Duration):
        return span(int(left) - int(right))
    raise mismatch("-", left, right)


def multiply(left: Any, right: Any, _meter: Meter) -> Any:
    if type(left) is int and type(right) is int:
        return whole(whole(left) * whole(right))
    if type(left) in NUMBERS and type(right) in NUMBERS:
        return _double("*", operator.mul, left, right)
    raise mismatch("*", left, right)


def divide(left: Any, right: Any, _meter: Meter) -> Any:
    if type(left) not in NUMBERS or type(right) not in NUMBERS:
        raise mismatch("/", left, right)
    if right == 0:
        raise ExpressionFault("division by zero")
    if type(left) is int and type(right) is int:
        quotient = abs(whole(left)) // abs(whole(right))
        return whole(quotient if (left < 0) == (right < 0) else -quotient)
    return _double("/", operator.truediv, left, right)


def remainder(left: Any, right: Any, _meter: Meter) -> Any:
    if type(left) not in NUMBERS or type(right) not in NUMBERS:
        raise mismatch("%", left, right)
    if right == 0:
        raise ExpressionFault("remainder of a division by zero")
    if type(left) is int and type(right) is int:
        rest = abs(whole(left)) % abs(whole(right))
        return -rest if left < 0 else rest
    return _double("%", math.fmod, left, right)


def negate(value: Any) -> Any:
    kind = type(value)
    if kind is int:
        return whole(-whole(value))
    if kind is float:
        return -value
    if kind is Duration:
        return Duration(-value)
    raise ExpressionFault(f'"-" cannot take {kind_of(value)}')


def equal(left: Any, right: Any, meter: Meter) -> bool:
    """By value, without a look at identity: two copies must cost and mean the same as one."""
    kind = type(left)
    if kind is str:
        if type(right) is not str:
            return False
        meter.charge(len(left) >> 6)
        return left == right
    if kind in NUMBERS:
        return type(right) in NUMBERS and _numbers_equal(left, right, meter)
    if kind is list or kind is dict:
        return kind is type(right) and _deeply_equal(left, right, meter)
    return kind is type(right) and left == right


def unequal(left: Any, right: Any, meter: Meter) -> bool:
    return not equal(left, right, meter)


def is_in(wanted: Any, container: Any, meter: Meter) -> bool:
    if type(container) is list:
        meter.charge(len(container))
        if type(wanted) is str:
            meter.charge(len(container) * len(wanted) >> 6)
            return wanted in container
        return any(equal(wanted, item, meter) for item in container)
    if type(container) is dict:
        return type(wanted) is str and wanted in container
    hint = ": use contains()" if type(container) is str else ""
    raise ExpressionFault(f'"in" looks into a list or a map, found {kind_of(container)}{hint}')


def _comparison(sign: str, holds: Callable[[Any, Any], bool]) -> Operator:
    def compare(left: Any, right: Any, meter: Meter) -> bool:
        order = _ORDERS.get(type(left))
        if order is None or order is not _ORDERS.get(type(right)):
            raise mismatch(sign, left, right)
        if order == "string":
            meter.charge(min(len(left), len(right)) >> 6)
        elif type(left) is int and not MIN_INT <= left <= MAX_INT:
            meter.charge(left.bit_length() >> 6)
        return holds(left, right)

    return compare


OPERATORS: dict[str, Operator] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
    "==": equal,
    "!=": unequal,
    "in": is_in,
    "<": _comparison("<", operator.lt),
    "<=": _comparison("<=", operator.le),
    ">": _comparison(">", operator.gt),
    ">=": _comparison(">=", operator.ge),
}


def _double(sign: str, compute: Callable[[Any, Any], float], left: float, right: float) -> float:
    try:
        return finite(compute(_small(left), _small(right)))
    except (OverflowError, ValueError) as error:
        raise ExpressionFault(f'the result of "{sign}" is not a finite number') from error


def _small(number: float) -> float:
    return whole(number) if type(number) is int else number


def _numbers_equal(left: float, right: float, meter: Meter) -> bool:
    if type(left) is int and not MIN_INT <= left <= MAX_INT:
        meter.charge(left.bit_length() >> 6)
    return left == right


def _deeply_equal(left: Any, right: Any, meter: Meter) -> bool:
    pairs = [(left, right)]
    while pairs:
        left, right = pairs.pop()
        kind = type(left)
        if kind is not type(right) or kind not in (list, dict):
            if kind in (list, dict) or not equal(left, right, meter):
                return False
            continue
        meter.charge(1 + 2 * len(left))
        if len(left) != len(right):
            return False
        if kind is list:
            pairs += zip(left, right, strict=True)
        elif left.keys() == right.keys():
            pairs += ((item, right[key]) for key, item in left.items())
        else:
            return False
    return True
