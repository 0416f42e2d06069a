"""What a deal was thought to be worth, and when."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from dev.demo.company import days

if TYPE_CHECKING:
    from datetime import date
    from random import Random

    from dev.demo.company.lives import Life
    from dev.demo.company.sales import Segment

Path = list[tuple["date", Decimal]]

CHANGED = 0.35  # of the deals, by so much:
MODESTLY = (0.88, 1.2)
# What counts as a cut has lost 30 % within 60 days. This is more, and clearly within; that of
# others is long over.
CUT_TO = (0.45, 0.62)
LATELY, LONG_AGO = (timedelta(days=4), timedelta(days=40)), timedelta(days=80)
CUT_LONG_AGO = 0.3  # of the open deals that are old enough


def path(rng: Random, life: Life, segment: Segment, today: date) -> Path:
    """Empty where nobody wrote down an amount."""
    if "missing_fields" in life.problems and _lacks_amount(life):
        return []
    low, high = segment.amount
    now = _round(life.plan.worth * rng.triangular(low, high, low + (high - low) / 3))
    if "amount_cut" in life.problems:
        earliest, latest = (today - ago for ago in reversed(LATELY))
        return _changed(rng, life, earliest, latest, now, rng.uniform(*CUT_TO))
    if life.outcome == "open" and life.created < today - LONG_AGO - timedelta(days=20):
        if rng.random() < CUT_LONG_AGO:
            return _changed(rng, life, life.created, today - LONG_AGO, now, rng.uniform(*CUT_TO))
    elif rng.random() < CHANGED:
        return _changed(rng, life, life.created, life.touched, now, rng.uniform(*MODESTLY))
    return [(life.created, now)]


def _lacks_amount(life: Life) -> bool:
    # Half of them by a coin that falls the same for whoever asks; the others lack the date.
    return life.created.toordinal() % 2 == 0


def lacks_close_date(life: Life) -> bool:
    return "missing_fields" in life.problems and not _lacks_amount(life)


def _changed(
    rng: Random, life: Life, earliest: date, latest: date, now: Decimal, factor: float
) -> Path:
    inside = days.workdays(max(earliest, life.created + days.DAY), min(latest, life.touched))
    before = _round(float(now) / factor)
    if not inside:
        return [(life.created, now)]
    return [(life.created, before), (rng.choice(inside), now)]


def _round(amount: float) -> Decimal:
    unit = 500 if amount >= 20_000 else 100
    return Decimal(round(amount / unit) * unit)
