"""One value of a row, as what it should be; raises ValueError with what was expected."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from core.faults import quoted

if TYPE_CHECKING:
    from core.connector import Columns
    from core.crm_fields import Shape

CENT = Decimal("0.01")
MOST_DIGITS = 20
# Currency signs, and what stands between thousands besides the two signs that may be a decimal's.
ORNAMENT = re.compile(r"[\s'’$€£¥]")
NUMBERS = {
    ".": re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"),
    ",": re.compile(r"[-+]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?"),
}
# Day, month and year by their place, then perhaps a time of day.
WRITTEN = re.compile(
    r"(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})"
    r"(?:[T ,]+(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?: ?([AaPp])\.?[Mm]\.?)?)?"
)
ORDERS = {"dmy": (3, 2, 1), "mdy": (3, 1, 2), "ymd": (1, 2, 3)}
MORE_THAN_A_DAY = re.compile(r"[T ]\d")
TRUE = frozenset(("true", "t", "yes", "y", "1", "x"))
FALSE = frozenset(("false", "f", "no", "n", "0"))


@dataclass(frozen=True)
class Cells:
    """How the values of one source are written; `zone` is of times without an offset."""

    options: Columns
    zone: tzinfo = UTC

    def read(self, shape: Shape, value: Any) -> Any:
        """None for what is empty."""
        if isinstance(value, str):
            value = value.strip()
        if value is None or value == "":
            return None
        try:
            return READERS[shape](self, value)
        except OverflowError:
            raise ValueError(
                f"expected a day of the years 1 to 9999, got {quoted(value)}"
            ) from None

    def text(self, value: Any) -> str:
        if isinstance(value, float) and value.is_integer():
            return str(int(value))  # an id that a file took for a number
        if isinstance(value, dict | list):
            raise ValueError(f"expected one text, got {quoted(value)}")
        return str(value)

    def texts(self, value: Any) -> tuple[str, ...]:
        separator = self.options.separator
        each = value if isinstance(value, list | tuple) else self.text(value).split(separator)
        return tuple(text for one in each if (text := self.text(one).strip()))

    def objects(self, value: Any) -> tuple[dict[str, Any], ...]:
        """As JSONL holds them; elsewhere a cell may hold JSON."""
        try:
            each = json.loads(value) if isinstance(value, str) else value
        except (ValueError, RecursionError):
            each = None
        if not isinstance(each, list) or not all(isinstance(one, dict) for one in each):
            raise ValueError(f"expected a list of JSON objects, got {quoted(value)}")
        return tuple(each)

    def links(self, value: Any) -> tuple[Any, ...]:
        of_objects = isinstance(value, list) and any(isinstance(one, dict) for one in value)
        return self.objects(value) if of_objects else self.texts(value)

    def number(self, value: Any) -> Decimal:
        if isinstance(value, bool | dict | list):
            raise ValueError(f"expected a number, got {quoted(value)}")
        if not isinstance(value, str):
            return _finite(str(value), value)
        bare = ORNAMENT.sub("", value)
        marks = (self.options.decimal,) if self.options.decimal else (".", ",")
        read = {_plain(bare, mark) for mark in marks if mark and NUMBERS[mark].fullmatch(bare)}
        if len(read) > 1:
            one, other = sorted(read)
            raise ValueError(
                f"{quoted(value)} may be {one:,f} or {other:,f}:"
                " say which sign stands before decimals (`decimal`)"
            )
        if not read:
            raise ValueError(f"expected a number such as 1234.50, got {quoted(value)}")
        return read.pop()

    def whole(self, value: Any) -> int:
        number = self.number(value)
        if number != number.to_integral_value():
            raise ValueError(f"expected a whole number, got {quoted(value)}")
        return int(number)

    def truth(self, value: Any) -> bool:
        """What says when something was deleted says that it is."""
        if isinstance(value, bool):
            return value
        if isinstance(value, dt.date):
            return True
        word = str(value).lower()
        if word in TRUE or word in FALSE:
            return word in TRUE
        try:
            self.time(value)
        except ValueError:
            raise ValueError(f"expected true or false, got {quoted(value)}") from None
        return True

    def date(self, value: Any) -> dt.date:
        if isinstance(value, datetime):
            return value.astimezone(self.zone).date() if value.tzinfo else value.date()
        if isinstance(value, dt.date):
            return value
        at = self.time(value)
        is_moment = self.options.dates.startswith("unix") or _has_offset(str(value))
        # A moment at midnight UTC is how many systems write a day.
        if is_moment and at.astimezone(UTC).time() == datetime.min.time():
            return at.astimezone(UTC).date()
        return at.astimezone(self.zone).date()

    def time(self, value: Any) -> datetime:
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=self.zone)
        if isinstance(value, dt.date):
            return datetime(value.year, value.month, value.day, tzinfo=self.zone)
        order = self.options.dates
        try:
            if order in ("unix", "unix_ms"):
                seconds = Decimal(str(value)) / (1000 if order == "unix_ms" else 1)
                return datetime.fromtimestamp(float(seconds), UTC)
            at = datetime.fromisoformat(value) if order == "iso" else _written(value, order)
        except (ValueError, TypeError, InvalidOperation, OverflowError, OSError):
            raise ValueError(f"expected {EXPECTED[order]}, got {quoted(value)}") from None
        return at if at.tzinfo else at.replace(tzinfo=self.zone)


EXPECTED = {
    "iso": "a time such as 2026-11-20 or 2026-11-20T09:30:00Z (or say `dates`: dmy, mdy, …)",
    "dmy": "day, month and year such as 20.11.2026",
    "mdy": "month, day and year such as 11/20/2026",
    "ymd": "year, month and day such as 2026/11/20",
    "unix": "seconds since 1970",
    "unix_ms": "milliseconds since 1970",
}
READERS: dict[Shape, Callable[[Cells, Any], Any]] = {
    "text": Cells.text,
    "id": Cells.text,
    "ids": Cells.texts,
    "texts": Cells.texts,
    "links": Cells.links,
    "objects": Cells.objects,
    "number": Cells.number,
    "whole": Cells.whole,
    "date": Cells.date,
    "time": Cells.time,
    "truth": Cells.truth,
}


def in_cents(number: Decimal) -> Decimal:
    """What no amount can be stays as it is: the record refuses it."""
    return number if number.adjusted() > MOST_DIGITS else number.quantize(CENT, ROUND_HALF_EVEN)


def _plain(bare: str, mark: str) -> Decimal:
    grouped = "," if mark == "." else "."
    return Decimal(bare.replace(grouped, "").replace(mark, "."))


def _finite(text: str, value: Any) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"expected a number, got {quoted(value)}") from None
    if not number.is_finite():
        raise ValueError(f"expected a finite number, got {quoted(value)}")
    return number


def _written(value: Any, order: str) -> datetime:
    found = WRITTEN.fullmatch(value)
    if found is None:
        raise ValueError
    year, month, day = (int(found[place]) for place in ORDERS[order])
    if year < 100:
        year += 2000
    hour, minute, second = (int(found[place] or 0) for place in (4, 5, 6))
    if found[7]:
        if not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + (12 if found[7] in "Pp" else 0)
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the zone comes next


def _has_offset(value: str) -> bool:
    return bool(MORE_THAN_A_DAY.search(value)) and bool(re.search(r"(Z|[+-]\d\d:?\d\d)$", value))
