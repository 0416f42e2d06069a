from __future__ import annotations

import pytest

from store.notices import Notices
from store.pool import Pool
from tests.integration.ledger import Ledger


@pytest.fixture
async def notices(pool: Pool) -> Notices:
    """Of one call that reached all there is to reach."""
    ledger = await Ledger.of(pool)
    await ledger.limit(100)
    await ledger.called(100)
    return Notices(pool)


async def test_a_notice_says_what_was_reached_the_lowest_first(notices: Notices) -> None:
    found = await notices.undelivered(10)
    assert [(each.workspace, each.kind) for each in found] == [("acme", "budget_alert")] * 3
    assert [each.key for each in found] == [f"budget 2026-11-01 {each}" for each in (75, 90, 100)]
    assert [each.data for each in found] == [
        {"percent": percent, "period": "2026-11", "tokens_used": 100, "token_budget": 100}
        for percent in (75, 90, 100)
    ]


async def test_what_was_delivered_is_over(notices: Notices) -> None:
    first, second, third = await notices.undelivered(10)
    await notices.delivered(first)
    await notices.delivered(second.model_copy(update={"workspace": "globex"}))
    assert await notices.undelivered(10) == [second, third]


async def test_all_workspaces_are_served_the_oldest_notice_first(
    notices: Notices, pool: Pool
) -> None:
    ledger = Ledger(pool)
    await ledger.limit(10, "globex")
    await ledger.called(8, workspace="globex")
    found = await notices.undelivered(4)
    assert [each.workspace for each in found] == ["acme"] * 3 + ["globex"]
    assert await notices.undelivered(2) == found[:2]
