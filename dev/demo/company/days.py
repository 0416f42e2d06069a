"""Which days people work, and how busy they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

DAY = timedelta(days=1)
SATURDAY = 5
HOLIDAYS = frozenset({(1, 1), (12, 25), (12, 26)})
AUGUST, DECEMBER = 8, 12
HOLIDAYS_FROM = 22  # of December: what must be signed in the year is signed by then
RUSH = timedelta(days=14)
# Hours of a working day, so that a deal begins before anything happens to it, and ends after.
OPENS, CLOSES = 8, 17


def is_workday(day: date) -> bool:
    return day.weekday() < SATURDAY and (day.month, day.day) not in HOLIDAYS


def workday_until(day: date) -> date:
    while not is_workday(day):
        day -= DAY
    return day


def workday_from(day: date) -> date:
    while not is_workday(day):
        day += DAY
    return day


def workdays(first: date, last: date) -> list[date]:
    span = (last - first).days + 1
    return [day for n in range(span) if is_workday(day := first + n * DAY)]


def month_end(day: date) -> date:
    following = day.replace(day=28) + 4 * DAY
    return following - timedelta(days=following.day)


def quarter_start(day: date) -> date:
    return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)


def next_quarter(start: date) -> date:
    return quarter_start(start + timedelta(days=100))


def quarter_end(day: date) -> date:
    return next_quarter(quarter_start(day)) - DAY


def pace(day: date) -> float:
    """How much is done on a day, against a usual one."""
    if day.month == DECEMBER and day.day > HOLIDAYS_FROM:
        return 0.2
    if day.month == AUGUST:
        return 0.4
    return 1.0


def closing(day: date) -> float:
    """How many deals are signed on a day, against a usual one: most at the end of a quarter."""
    end = quarter_end(day)
    if end.month == DECEMBER:
        end = end.replace(day=HOLIDAYS_FROM)
    rush = 4.0 if timedelta() <= end - day < RUSH else 1.3 if day.month == end.month else 1.0
    return rush * pace(day)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def opening_hour(day: date) -> datetime:
    return datetime.combine(day, time(OPENS), UTC)


def closing_hour(day: date) -> datetime:
    return datetime.combine(day, time(CLOSES), UTC)


def between(rng: Random, day: date) -> datetime:
    minutes = rng.randrange(20, (CLOSES - OPENS) * 60 - 20)
    return opening_hour(day) + timedelta(minutes=minutes)
