from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from core.budget import Crowded, Exhausted, Reserved, RunExhausted
from store.notices import Notice, Notices
from store.pool import Pool
from tests.integration.ledger import Ledger, ask

if TYPE_CHECKING:
    from core.budget import Reservation


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


async def test_calls_that_the_month_refuses_leave_one_notice_for_each_limit(pool: Pool) -> None:
    ledger = await Ledger.of(pool)
    for workspace in ("acme", "globex"):
        await ledger.limit(90, workspace)
        await ledger.called(15, workspace=workspace)

    async def refused(count: int, tokens: int) -> None:
        asked = [
            ask(run=f"w{n}", call_key=f"c{n}", tokens=1000, least=tokens + n) for n in range(count)
        ]
        got: list[Reservation] = await asyncio.gather(*map(ledger.budgets.reserve, asked))
        assert {type(each) for each in got} == {Exhausted}

    await refused(20, 76)
    [first] = await Notices(pool).undelivered(10)
    asked = first.data["tokens_asked"]
    assert 76 <= asked < 96
    assert first == Notice(
        workspace="acme",
        key="budget exhausted 2026-11-01 90",
        kind="budget_exhausted",
        data={"period": "2026-11", "tokens_used": 15, "token_budget": 90, "tokens_asked": asked},
    )

    version = "SELECT xmin::text, ctid::text FROM notices"
    stored = await pool.fetchrow(version)
    await refused(1, 76)
    assert await pool.fetchrow(version) == stored

    await Notices(pool).delivered(first)
    await ledger.limit(80)
    await refused(2, 76)
    await ledger.limit(90)
    await refused(2, 76)
    keys = [each.key for each in await Notices(pool).undelivered(10)]
    assert keys == ["budget exhausted 2026-11-01 80"]


async def test_a_call_that_waits_for_another_or_has_a_key_of_its_own_leaves_none(
    pool: Pool,
) -> None:
    ledger = await Ledger.of(pool)
    await ledger.limit(90)
    await ledger.reserved(tokens=60)
    crowded = await ledger.budgets.reserve(ask(call_key="other", tokens=60))
    assert isinstance(crowded, Crowded)
    of_run = await ledger.budgets.reserve(ask(call_key="more", tokens=60, run_limit=50))
    assert isinstance(of_run, RunExhausted)
    own = await ledger.budgets.reserve(ask(call_key="own", tokens=500, key_source="own"))
    assert isinstance(own, Reserved)
    assert await Notices(pool).undelivered(1) == []
