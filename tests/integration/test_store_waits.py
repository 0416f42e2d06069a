from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from core.budget import Exhausted, Reserved, TopUp
from core.tool import Actor
from store.budgets import HOLD
from store.llm_config import LLMChange
from store.pool import Pool
from store.waits import NOTE, STIR, Stirred, Waits
from tests.integration.ledger import NOON, Ledger, ask, until_blocked

WAITING = Stirred(workspace="acme", run="r1", step="report", kind="budget", stirs=1)


@pytest.fixture
async def ledger(pool: Pool) -> Ledger:
    """Of two workspaces that have nothing left, each with a run that was refused."""
    ledger = await Ledger.of(pool)
    for workspace in ("acme", "globex"):
        await ledger.limit(10, workspace)
        assert isinstance(await ledger.budgets.reserve(ask(workspace=workspace)), Exhausted)
    return ledger


@pytest.fixture
def waits(pool: Pool) -> Waits:
    return Waits(pool)


async def topped_up(ledger: Ledger, tokens: int = 1000) -> None:
    actor = Actor(kind="key", id="k1")
    await ledger.spending.top_up(
        TopUp(workspace="acme", timezone="UTC", tokens=tokens, by=actor, at=NOON)
    )


async def test_who_was_refused_is_noted(waits: Waits, ledger: Ledger, pool: Pool) -> None:
    assert await waits.stirred(10) == []
    rows = await pool.fetch(
        "SELECT workspace_id, run_id, step, kind, until, stirred, woken FROM waits "
        "ORDER BY workspace_id"
    )
    assert [tuple(row) for row in rows] == [
        (workspace, "r1", "report", "budget", datetime(2026, 12, 1, tzinfo=UTC), 0, 0)
        for workspace in ("acme", "globex")
    ]


async def test_a_top_up_stirs_who_waits_for_it(waits: Waits, ledger: Ledger) -> None:
    await topped_up(ledger)
    assert await waits.stirred(10) == [WAITING]


@pytest.mark.parametrize(
    "change",
    [
        LLMChange(token_budget=2000),
        LLMChange(token_budget=None),
        LLMChange(keys={"openai": "sk-one"}),
        LLMChange(routing={"reason": None}),
    ],
)
async def test_so_does_a_change_of_the_config(
    waits: Waits, ledger: Ledger, change: LLMChange
) -> None:
    await ledger.configs.change("acme", change)
    assert await waits.stirred(10) == [WAITING]


async def test_who_was_told_is_not_told_again(waits: Waits, ledger: Ledger) -> None:
    await topped_up(ledger)
    await waits.woken(WAITING)
    assert await waits.stirred(10) == []
    await topped_up(ledger)
    assert await waits.stirred(10) == [WAITING.model_copy(update={"stirs": 2})]


async def test_what_changes_while_somebody_is_told_is_told_again(
    waits: Waits, ledger: Ledger
) -> None:
    await topped_up(ledger)
    [one] = await waits.stirred(10)
    await topped_up(ledger)
    await waits.woken(one)
    assert await waits.stirred(10) == [WAITING.model_copy(update={"stirs": 2})]


async def test_who_is_refused_again_waits_again(waits: Waits, ledger: Ledger) -> None:
    await topped_up(ledger, 1)
    assert isinstance(await ledger.budgets.reserve(ask()), Exhausted)
    assert await waits.stirred(10) == []
    await topped_up(ledger, 1)
    await waits.woken(WAITING)
    assert await waits.stirred(10) == [WAITING.model_copy(update={"stirs": 2})]


async def test_who_is_admitted_waits_no_longer(waits: Waits, ledger: Ledger, pool: Pool) -> None:
    await topped_up(ledger)
    assert isinstance(await ledger.budgets.reserve(ask()), Reserved)
    assert await waits.stirred(10) == []
    assert await pool.fetchval("SELECT count(*) FROM waits") == 1


async def test_a_run_that_ended_is_forgotten(waits: Waits, ledger: Ledger) -> None:
    await topped_up(ledger)
    await waits.forget_run("globex", "r1")
    assert await waits.stirred(10) == [WAITING]
    await waits.forget_run("acme", "r1")
    assert await waits.stirred(10) == []


async def test_telling_somebody_who_left_changes_nothing(waits: Waits, ledger: Ledger) -> None:
    await waits.woken(Stirred(workspace="acme", run="gone", step="report", kind="budget", stirs=3))
    assert await waits.stirred(10) == []


CHANGES = {
    "top-up": lambda ledger: topped_up(ledger, 10**6),
    "config": lambda ledger: ledger.limit(10**9),
}


@pytest.mark.parametrize("by", CHANGES)
async def test_who_is_refused_while_the_budget_changes_is_admitted_or_stirred(
    waits: Waits, ledger: Ledger, by: str
) -> None:
    """Never neither: that run would sleep until the reset."""
    for n in range(8):
        await ledger.limit(10)
        for one in await waits.stirred(100):
            await waits.forget_run(one.workspace, one.run)
        asked = [ask(run=f"r{n}-{k}", call_key=f"c{n}-{k}", tokens=100) for k in range(3)]
        reserving = map(ledger.budgets.reserve, asked)
        *outcomes, _ = await asyncio.gather(*reserving, CHANGES[by](ledger))
        told = {one.run for one in await waits.stirred(100)}
        for request, outcome in zip(asked, outcomes, strict=True):
            assert isinstance(outcome, Reserved) or request.run in told
        await ledger.pool.execute("UPDATE budget_months SET topped_up = 0")


async def test_a_change_under_way_is_waited_for(ledger: Ledger) -> None:
    async with ledger.pool.transaction() as change:
        await change.execute("UPDATE llm_configs SET token_budget = 2000")
        await change.execute(STIR, "acme", "budget")
        reserving = asyncio.create_task(ledger.budgets.reserve(ask(run="r2", call_key="c2")))
        await until_blocked(ledger.pool, reserving)
    assert isinstance(await reserving, Reserved)


@pytest.mark.parametrize("by", CHANGES)
async def test_a_wait_that_is_being_noted_is_waited_for(
    waits: Waits, ledger: Ledger, by: str
) -> None:
    async with ledger.pool.transaction() as noting:
        await noting.execute(HOLD, "acme")
        await noting.execute(NOTE, "acme", "r2", "report", "budget", NOON)
        changing = asyncio.create_task(CHANGES[by](ledger))
        await until_blocked(ledger.pool, changing)
    await changing
    assert [one.run for one in await waits.stirred(10)] == ["r1", "r2"]
