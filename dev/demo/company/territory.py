"""Which account a deal is with: nobody buys for the first time twice."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from dev.demo.company.accounts import Buyer
    from dev.demo.company.lives import Life

NEVER = date.min
# A renewal is not followed by the next within a year, with some weeks to spare.
YEAR = timedelta(days=300)


class Territory:
    """To be asked in the order in which deals began."""

    def __init__(self, rng: Random, buyers: list[Buyer]) -> None:
        self._rng = rng
        self._buyers = buyers
        self._customer_from = {buyer.record.id: NEVER for buyer in buyers if buyer.customer}
        self._busy_until: dict[tuple[str, str], date] = {}

    def account_for(self, life: Life) -> Buyer:
        wanted = [buyer for buyer in self._buyers if self._may(life, buyer)]
        free = [buyer for buyer in wanted if self._free_since(life, buyer) < life.created]
        if free:
            buyer = self._rng.choice(free)
        else:
            buyer = min(wanted, key=lambda buyer: self._free_since(life, buyer))
        self._note(life, buyer)
        return buyer

    def _may(self, life: Life, buyer: Buyer) -> bool:
        since = self._customer_from.get(buyer.record.id)
        if life.plan.id == "new":
            return since is None
        return since is not None and since <= life.created

    def _free_since(self, life: Life, buyer: Buyer) -> date:
        return self._busy_until.get((life.plan.id, buyer.record.id), NEVER)

    def _note(self, life: Life, buyer: Buyer) -> None:
        until = life.ended or date.max
        if life.plan.id == "renewal" and life.ended:
            until += YEAR
        self._busy_until[life.plan.id, buyer.record.id] = until
        if life.plan.id == "new" and life.ended and life.outcome == "won":
            self._customer_from[buyer.record.id] = life.ended
