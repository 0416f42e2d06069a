"""The functions of the language. Each may be written `f(x, …)` or `x.f(…)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, NamedTuple

from core.expression import conversions, lists, texts
from core.expression.times import CALENDAR_PARTS

ANY_NUMBER = 1_000


class Function(NamedTuple):
    """`call` is given the meter and then the arguments, between `least` and `most` of them."""

    call: Callable[..., Any]
    least: int
    most: int


FUNCTIONS: dict[str, Function] = {
    "contains": Function(texts.contains, 2, 2),
    "startsWith": Function(texts.starts_with, 2, 2),
    "endsWith": Function(texts.ends_with, 2, 2),
    "indexOf": Function(texts.index_of, 2, 3),
    "substring": Function(texts.substring, 2, 3),
    "replace": Function(texts.replace, 3, 4),
    "split": Function(texts.split, 2, 3),
    "join": Function(texts.join, 1, 2),
    "trim": Function(texts.trim, 1, 1),
    "lowerAscii": Function(texts.lower_ascii, 1, 1),
    "upperAscii": Function(texts.upper_ascii, 1, 1),
    "size": Function(lists.size, 1, 1),
    "keys": Function(lists.keys, 1, 1),
    "values": Function(lists.values, 1, 1),
    "sum": Function(lists.total, 1, 1),
    "min": Function(lists.smallest, 1, ANY_NUMBER),
    "max": Function(lists.largest, 1, ANY_NUMBER),
    "sort": Function(lists.in_order, 1, 1),
    "reverse": Function(lists.reverse, 1, 1),
    "slice": Function(lists.part, 2, 3),
    "distinct": Function(lists.distinct, 1, 1),
    "flatten": Function(lists.flatten, 1, 1),
    "range": Function(lists.numbers_up_to, 1, 1),
    "coalesce": Function(lists.first_present, 1, ANY_NUMBER),
    "string": Function(conversions.to_string, 1, 1),
    "json": Function(conversions.to_json, 1, 1),
    "int": Function(conversions.to_int, 1, 1),
    "double": Function(conversions.to_double, 1, 1),
    "bool": Function(conversions.to_bool, 1, 1),
    "timestamp": Function(conversions.to_timestamp, 1, 1),
    "duration": Function(conversions.to_duration, 1, 1),
    "abs": Function(conversions.absolute, 1, 1),
    "floor": Function(conversions.floor, 1, 1),
    "ceil": Function(conversions.ceil, 1, 1),
    "round": Function(conversions.rounded, 1, 2),
    **{name: Function(conversions.accessor(name), 1, 2) for name in CALENDAR_PARTS},
}
# The only functions whose results are not JSON; what can make one is settled at the end.
MAKES_TIMES = frozenset(("timestamp", "duration"))

_INSTEAD = {
    "matches": "there are no patterns here: use contains, startsWith, endsWith or split",
    "now": "there is no clock here, as a replay must come to the same answer: use a time from"
    " the inputs or the run",
    "default": 'write "coalesce(value, fallback)"',
    "format": 'join texts with "+", or write them as one text with ${…}',
    "len": 'write "size(…)"',
    "length": 'write "size(…)"',
    "count": 'write "size(…)"',
    "lower": 'write "lowerAscii"',
    "upper": 'write "upperAscii"',
    "type": "compare with values of the wanted kind instead",
}


def unknown_function(name: str, known: Iterable[str]) -> str:
    if name in _INSTEAD:
        return f'there is no function "{name}": {_INSTEAD[name]}'
    nearest = get_close_matches(name[:40], sorted(known), n=1, cutoff=0.5)
    hint = f', did you mean "{nearest[0]}"?' if nearest else ""
    return f'there is no function "{name[:40]}"{hint}'


def wrong_count(name: str, function: Function, found: int, own: int) -> str | None:
    """`own` is 1 where the first argument stands before the dot, and is not counted."""
    least, most = function.least - own, function.most - own
    if least <= found <= most:
        return None
    if most > 20:
        wanted = f"at least {least}"
    else:
        wanted = str(least) if least == most else f"{least} to {most}"
    return f"{name} takes {wanted} {'argument' if wanted == '1' else 'arguments'}, found {found}"
