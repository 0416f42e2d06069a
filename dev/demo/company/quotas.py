"""What each seller was to win in each quarter."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from core.crm import Quota
from dev.demo.company import days
from dev.demo.company.deals import LEFT
from dev.demo.company.lives import HISTORY
from dev.demo.company.sales import SELLERS

if TYPE_CHECKING:
    from datetime import date, datetime

    from dev.demo.company.deals import Sale
    from dev.demo.company.sales import Seller

# A team was to win a bit more than it did, and each quarter more than in the one before.
HOPE, GROWS = 1.15, 0.1
UNIT = 5_000


def quotas(sales: list[Sale], today: date, stamp: datetime) -> list[Quota]:
    start = days.quarter_start(today - HISTORY)
    starts = [start]
    while (start := days.next_quarter(start)) <= today + timedelta(days=92):
        starts.append(start)
    return [
        Quota(
            id=f"q-{seller.id}-{start.year}-{(start.month + 2) // 3}",
            owner=seller.id,
            starts_on=start,
            ends_on=days.quarter_end(start),
            amount=Decimal(round(first * (1 + GROWS * n) / UNIT) * UNIT),
            currency="USD",
            modified_at=stamp,
        )
        for team, first in _first_of_teams(sales, starts, today).items()
        for n, start in enumerate(starts)
        for seller in SELLERS
        if seller.team == team and _sells(seller, start, today)
    ]


def _sells(seller: Seller, start: date, today: date) -> bool:
    return seller.active or days.quarter_end(start) <= today - LEFT


def _first_of_teams(sales: list[Sale], starts: list[date], today: date) -> dict[str, float]:
    """By team, what each of it was to win in the first quarter."""
    first: dict[str, float] = {}
    for team in {seller.team: None for seller in SELLERS}:
        won = sum(
            sale.record.amount or 0
            for sale in sales
            if sale.sellers[-1][1].team == team and sale.life.outcome == "won"
        )
        shares = sum(
            1 + GROWS * n
            for n, start in enumerate(starts)
            for seller in SELLERS
            if seller.team == team and start <= today and _sells(seller, start, today)
        )
        first[team] = HOPE * float(won) / shares
    return first
