from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from store.notices import Notices
from store.pool import Pool
from tests.integration.ledger import Ledger

LEASE = timedelta(minutes=1)


@pytest.fixture
async def notices(pool: Pool) -> Notices:
    ledger = await Ledger.of(pool)
    await ledger.limit(100)
    await ledger.called(95)
    return Notices(pool)


async def test_a_notice_says_what_happened(notices: Notices) -> None:
    [first, second] = await notices.list_for("acme")
    assert first.kind == "budget_alert"
    assert first.data == {
        "percent": 75,
        "period": "2026-11",
        "tokens_used": 95,
        "token_budget": 100,
    }
    assert second.data["percent"] == 90
    assert await notices.list_for("globex") == []


async def test_notifiers_share_them_out(notices: Notices) -> None:
    hands = await asyncio.gather(*(notices.take(1, LEASE) for _ in range(4)))
    taken = [notice.key for hand in hands for notice in hand]
    assert sorted(taken) == ["budget 2026-11-01 75", "budget 2026-11-01 90"]


async def test_what_a_dead_notifier_held_comes_back(notices: Notices) -> None:
    taken = await notices.take(10, timedelta(0))
    assert await notices.take(10, LEASE) == taken
    assert await notices.take(10, LEASE) == []


async def test_what_was_delivered_is_over(notices: Notices) -> None:
    [first, second] = await notices.take(10, timedelta(0))
    await notices.delivered(first)
    await notices.delivered(second.model_copy(update={"workspace": "globex"}))
    assert await notices.take(10, LEASE) == [second]


async def test_all_workspaces_are_served(notices: Notices, pool: Pool) -> None:
    ledger = Ledger(pool)
    await ledger.limit(10, "globex")
    await ledger.called(10, workspace="globex")
    assert {notice.workspace for notice in await notices.take(10, LEASE)} == {"acme", "globex"}
