from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.budget import Month, RunUsage, UsageMonth, month_of

ZONES = [
    "UTC",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Australia/Lord_Howe",
    "America/Asuncion",
    "Asia/Beirut",
]
ONE = timedelta(microseconds=1)


@given(
    at=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    zone=st.sampled_from(ZONES),
)
def test_months_follow_each_other_without_a_gap(at: datetime, zone: str) -> None:
    month = month_of(zone, at)
    assert at < month.resets_at
    assert month_of(zone, month.resets_at - ONE) == month
    following = month_of(zone, month.resets_at)
    assert timedelta(0) < following.first - month.first <= timedelta(days=31)
    assert following.first.day == month.first.day == 1


def test_a_year_ends() -> None:
    month = month_of("Europe/Berlin", datetime(2026, 12, 31, 22, 59, tzinfo=UTC))
    assert month == Month(first=date(2026, 12, 1), resets_at=datetime(2026, 12, 31, 23, tzinfo=UTC))
    assert month.name == "2026-12"


def test_a_first_midnight_that_does_not_exist_is_the_moment_after_it() -> None:
    """On 1 October 2017 clocks in Asuncion went from 0:00 to 1:00."""
    month = month_of("America/Asuncion", datetime(2017, 9, 15, tzinfo=UTC))
    assert month.resets_at == datetime(2017, 10, 1, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("budget", "used", "reserved", "remaining"),
    [(None, 5, 5, None), (10, 5, 2, 3), (10, 12, 0, 0), (0, 0, 0, 0)],
)
def test_what_remains_is_never_negative_and_may_be_without_end(
    budget: int | None, used: int, reserved: int, remaining: int | None
) -> None:
    month = Month(first=date(2026, 11, 1), resets_at=datetime(2026, 12, 1, tzinfo=UTC))
    whole = UsageMonth(month=month, used=used, reserved=reserved, budget=budget)
    assert whole.remaining == remaining


@pytest.mark.parametrize(
    ("cost", "unpriced", "dollars"),
    [(None, 0, None), (0, 0, 0.0), (2_500_000_000, 0, 2.5), (2_500_000_000, 1, None)],
)
def test_a_cost_that_is_partly_unknown_is_unknown(
    cost: int | None, unpriced: int, dollars: float | None
) -> None:
    usage = RunUsage(calls=3, cost_nano=cost, unpriced_calls=unpriced)
    assert usage.dollars == dollars
