"""What is planted in the demo company, where a workspace holds just that company."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from dev.demo.company import company

SOURCE = "demo"
DAYS_BACK = 7


def planted(cards: Mapping[str, Mapping[str, Any]], today: date) -> dict[str, frozenset[str]]:
    """By kind, the ids of deals. The company is of the day on which the workspace was made:
    of today, or of one of the days before; empty where it is of none of them."""
    for days in range(DAYS_BACK + 1):
        made = company(today - timedelta(days=days))
        names = {f"{SOURCE}:{deal.id}": deal.name for deal in made.deals}
        if cards and all(names.get(key) == card["name"] for key, card in cards.items()):
            return {
                kind: frozenset(f"{SOURCE}:{deal}" for deal in deals)
                for kind, deals in made.planted.items()
            }
    return {}
