"""Timestamps and durations as counted nanoseconds; no clock and no time zone database."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from core.expression.fault import ExpressionFault

SECOND = 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = {
    "w": 604_800 * SECOND,
    "d": 86_400 * SECOND,
    "h": 3_600 * SECOND,
    "m": 60 * SECOND,
    "s": SECOND,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
FIRST = -62_135_596_800 * SECOND
LAST = 253_402_300_799 * SECOND + SECOND - 1
LONGEST = 315_576_000_000 * SECOND
LONGEST_TEXT = 64

_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2}))?"
)
_OFFSET = re.compile(r"([+-]?)([0-9]{2}):([0-9]{2})")
_SPAN = re.compile(r"([0-9]+)(?:\.([0-9]+))?(ms|us|ns|w|d|h|m|s)")


class Timestamp(int):
    """Nanoseconds since 1970 in UTC, years 1 to 9999."""

    __slots__ = ()


class Duration(int):
    """Nanoseconds."""

    __slots__ = ()


def instant(nanoseconds: int) -> Timestamp:
    if FIRST <= nanoseconds <= LAST:
        return Timestamp(nanoseconds)
    raise ExpressionFault("a timestamp lies between the years 1 and 9999")


def span(nanoseconds: int) -> Duration:
    if -LONGEST <= nanoseconds <= LONGEST:
        return Duration(nanoseconds)
    raise ExpressionFault("a duration is at most 10,000 years")


def parse_timestamp(text: str) -> Timestamp:
    match = _INSTANT.fullmatch(text) if len(text) <= LONGEST_TEXT else None
    if match is None:
        raise _not_a_timestamp(text)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            tzinfo=UTC,
        )
    except ValueError as error:
        raise _not_a_timestamp(text) from error
    whole = (moment - EPOCH) // timedelta(seconds=1)
    return instant(
        whole * SECOND + int((fraction or "").ljust(9, "0")) - offset(zone or "Z") * SECOND
    )


def offset(zone: str) -> int:
    """Seconds east of UTC. Names of places are refused: their rules change between releases."""
    if zone in ("UTC", "Z", "z"):
        return 0
    match = _OFFSET.fullmatch(zone) if len(zone) <= LONGEST_TEXT else None
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:
        raise ExpressionFault(
            f'"{zone[:40]}" is no time zone here: use "UTC" or an offset such as "+02:00"'
        )
    seconds = int(match[2]) * 3_600 + int(match[3]) * 60
    return -seconds if match[1] == "-" else seconds


def parse_duration(text: str) -> Duration:
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    total, position = 0, 0
    while len(unsigned) <= LONGEST_TEXT:
        match = _SPAN.match(unsigned, position)
        if match is None:
            break
        unit, fraction = UNITS[match[3]], match[2] or ""
        total += int(match[1]) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        position = match.end()
    if not (unsigned and position == len(unsigned)) and unsigned != "0":
        raise ExpressionFault(
            f'"{text[:40]}" is no duration: write it like "90s", "1h30m" or "14d"'
        )
    return span(-total if text[0] == "-" else total)


def timestamp_text(moment: Timestamp) -> str:
    seconds, fraction = divmod(int(moment), SECOND)
    text = (EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    return f"{text}{_fraction_text(fraction)}Z"


def duration_text(length: Duration) -> str:
    seconds, fraction = divmod(abs(int(length)), SECOND)
    return f"{'-' if length < 0 else ''}{seconds}{_fraction_text(fraction)}s"


def time_text(value: Timestamp | Duration) -> str:
    return timestamp_text(value) if isinstance(value, Timestamp) else duration_text(value)


def calendar(moment: Timestamp, zone: str) -> datetime:
    try:
        return EPOCH + timedelta(seconds=int(moment) // SECOND + offset(zone))
    except OverflowError as error:
        raise ExpressionFault("a timestamp lies between the years 1 and 9999") from error


# CEL counts months, days of the month (getDayOfMonth), of the week and of the year from 0.
CALENDAR_PARTS: dict[str, Callable[[datetime], int]] = {
    "getFullYear": lambda moment: moment.year,
    "getMonth": lambda moment: moment.month - 1,
    "getDate": lambda moment: moment.day,
    "getDayOfMonth": lambda moment: moment.day - 1,
    "getDayOfWeek": lambda moment: moment.isoweekday() % 7,
    "getDayOfYear": lambda moment: moment.timetuple().tm_yday - 1,
    "getHours": lambda moment: moment.hour,
    "getMinutes": lambda moment: moment.minute,
    "getSeconds": lambda moment: moment.second,
}
DURATION_PARTS = {"getHours": UNITS["h"], "getMinutes": UNITS["m"], "getSeconds": UNITS["s"]}


def _fraction_text(nanoseconds: int) -> str:
    return f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""


def _not_a_timestamp(text: str) -> ExpressionFault:
    return ExpressionFault(
        f'"{text[:40]}" is no timestamp: write it like "2026-01-31T08:00:00Z" or "2026-01-31"'
    )
