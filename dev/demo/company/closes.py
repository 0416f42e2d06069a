"""When a deal was thought to close, and since when."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dev.demo.company import days
from dev.demo.company.amounts import lacks_close_date

if TYPE_CHECKING:
    from datetime import date
    from random import Random

    from dev.demo.company.lives import Life

Path = list[tuple["date", "date"]]

PUSHED = (3, 4)  # times
# Of the others that are open: pushed never, once, twice.
PUSHED_SELDOM = (60, 28, 12)
PUSHED_LATELY = timedelta(days=75)
PUSH_DAYS = (12, 28)
SLIPPED_DAYS = (4, 30)
AHEAD = 5  # days at the least to the date of a deal that has not slipped
TO_MONTH_END = 0.45  # of the dates: nobody knows better than "this month"


def path(rng: Random, life: Life, today: date) -> Path:
    """Empty where nobody wrote down a date."""
    if lacks_close_date(life):
        return []
    end = life.ended + rng.randint(-5, 15) * days.DAY if life.ended else _hoped(rng, life, today)
    pushes = _pushes(rng, life)
    first = max(life.created + 7 * days.DAY, end - pushes * rng.randint(*PUSH_DAYS) * days.DAY)
    if life.ended is None and rng.random() < 0.08 and not life.problems:
        return _pulled(rng, life, end)
    since = life.created + days.DAY
    if "pushed" in life.problems:
        since = max(since, today - PUSHED_LATELY)
    moments = days.workdays(since, life.touched - days.DAY)
    pushes = min(pushes, len(moments), max((end - first).days, 0))
    if pushes == 0 and life.ended is None:
        return [(life.created, end)]
    moved = sorted(rng.sample(moments, pushes))
    span = (end - first).days
    dates = [first + timedelta(days=span * n // max(pushes, 1)) for n in range(pushes + 1)]
    # What has ended has ended then, whatever had been hoped.
    closed = [(life.ended, life.ended)] if life.ended else []
    return [*zip([life.created, *moved], dates, strict=True), *closed]


def _hoped(rng: Random, life: Life, today: date) -> date:
    if "slipped" in life.problems:
        return days.workday_until(today - rng.randint(*SLIPPED_DAYS) * days.DAY)
    at = life.plan.steps.index(life.step)
    rest = sum(step.days for step in life.plan.steps[at + 1 :])
    rest += round(life.step.days * rng.uniform(0.3, 0.8))
    soonest = today + AHEAD * days.DAY
    hoped = max(soonest, today + timedelta(days=round(rest * rng.uniform(0.8, 1.3))))
    monthly = days.workday_until(days.month_end(hoped))
    if monthly >= soonest and rng.random() < TO_MONTH_END:
        return monthly
    return days.workday_from(hoped)


def _pushes(rng: Random, life: Life) -> int:
    if "pushed" in life.problems:
        return rng.choice(PUSHED)
    if life.outcome == "open":
        return rng.choices((0, 1, 2), PUSHED_SELDOM)[0]
    # Those that were lost had been hoped for longer.
    return rng.choice((0, 1, 1, 2) if life.outcome == "won" else (0, 1, 2, 3))


def _pulled(rng: Random, life: Life, end: date) -> Path:
    moments = days.workdays(life.created + days.DAY, life.touched - days.DAY)
    if not moments:
        return [(life.created, end)]
    later = end + rng.randint(10, 30) * days.DAY
    return [(life.created, later), (rng.choice(moments), end)]
