"""Functions on lists and maps; maps keep the order in which they were written."""

from __future__ import annotations

from typing import Any

from core.expression.fault import ExpressionFault
from core.expression.fuel import Meter
from core.expression.operators import NUMBERS, add, order_of
from core.expression.texts import bounds, count
from core.expression.values import canonical_text, kind_of


def items_of(value: Any, name: str) -> list[Any]:
    if type(value) is list:
        return value
    raise ExpressionFault(f"{name} needs a list, found {kind_of(value)}")


def size(_meter: Meter, value: Any) -> int:
    if type(value) in (str, list, dict):
        return len(value)
    raise ExpressionFault(f"size needs a string, a list or a map, found {kind_of(value)}")


def keys(meter: Meter, value: Any) -> list[str]:
    return list(_map(value, "keys", meter))


def values(meter: Meter, value: Any) -> list[Any]:
    return list(_map(value, "values", meter).values())


def total(meter: Meter, value: Any) -> Any:
    amount: Any = 0
    for item in items_of(value, "sum"):
        meter.charge(2)
        if type(item) not in NUMBERS:
            raise ExpressionFault(f"sum adds numbers, found {kind_of(item)}")
        amount = add(amount, item, meter)
    return amount


def smallest(meter: Meter, *given: Any) -> Any:
    """Null where there is nothing; of equal ones the first."""
    candidates = _candidates("min", given, meter)
    return min(candidates) if candidates else None


def largest(meter: Meter, *given: Any) -> Any:
    candidates = _candidates("max", given, meter)
    return max(candidates) if candidates else None


def in_order(meter: Meter, value: Any) -> list[Any]:
    items = items_of(value, "sort")
    pay_for_sorting(meter, items, "sort")
    return sorted(items)


def reverse(meter: Meter, value: Any) -> list[Any]:
    items = items_of(value, "reverse")
    meter.charge(len(items))
    return items[::-1]


def part(meter: Meter, value: Any, start: Any, end: Any = None) -> list[Any]:
    items = items_of(value, "slice")
    first, last = bounds(start, end, len(items))
    meter.charge(last - first)
    return items[first:last]


def distinct(meter: Meter, value: Any) -> list[Any]:
    """Keeps the first of equal items, in their order."""
    first: dict[str, Any] = {}
    for item in items_of(value, "distinct"):
        # Keyed by text: the hashes of numbers are no secret, and could be made to collide.
        first.setdefault(canonical_text(item, meter), item)
    return list(first.values())


def flatten(meter: Meter, value: Any) -> list[Any]:
    """One level; null, which is what a skipped step gives, holds nothing."""
    flat: list[Any] = []
    for item in items_of(value, "flatten"):
        held = [] if item is None else items_of(item, "flatten")
        meter.charge(1 + len(held))
        flat.extend(held)
    return flat


def numbers_up_to(meter: Meter, end: Any) -> list[int]:
    length = count(end, "the end of range")
    meter.charge(2 * length)
    return list(range(length))


def first_present(_meter: Meter, *given: Any) -> Any:
    return next((value for value in given if value is not None), None)


def pay_for_sorting(meter: Meter, items: list[Any], name: str) -> None:
    order = order_of(items[0]) if items else None
    for item in items:
        if order is None or order_of(item) is not order:
            raise ExpressionFault(
                f"{name} cannot put {kind_of(items[0])} and {kind_of(item)} in order"
            )
    rounds = len(items).bit_length()
    meter.charge(len(items) * (1 + rounds >> 1) + _length(items) * rounds)


def _candidates(name: str, given: tuple[Any, ...], meter: Meter) -> list[Any]:
    items = items_of(given[0], name) if len(given) == 1 else list(given)
    pay_for_sorting(meter, items, name)
    return items


def _length(items: list[Any]) -> int:
    """What one comparison of each item costs beyond its turn."""
    kind = type(items[0]) if items else None
    if kind is str:
        return sum(map(len, items)) >> 6
    if kind in NUMBERS:
        return sum(item.bit_length() >> 6 for item in items if type(item) is int)
    return 0


def _map(value: Any, name: str, meter: Meter) -> dict[str, Any]:
    if type(value) is not dict:
        raise ExpressionFault(f"{name} needs a map, found {kind_of(value)}")
    meter.charge(len(value))
    return value
