from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.budget import TopUp
from core.tool import Actor
from store.llm_config import LLMChange
from store.pool import Pool
from store.waits import Stirred, Wait, Waits
from tests.integration.ledger import NOON, Ledger

RESET = datetime(2026, 12, 1, tzinfo=UTC)
MINE = Wait(workspace="acme", run="r1", step="report", kind="budget", until=RESET)
OTHERS = (
    Wait(workspace="acme", run="r2", step="sign", kind="approval"),
    Wait(workspace="globex", run="r3", step="report", kind="budget"),
)


@pytest.fixture
async def ledger(pool: Pool) -> Ledger:
    return await Ledger.of(pool)


@pytest.fixture
async def waits(pool: Pool, ledger: Ledger) -> Waits:
    await ledger.limit(1000)
    waits = Waits(pool)
    for wait in (MINE, *OTHERS):
        await waits.note(wait)
    return waits


async def stir(ledger: Ledger, workspace: str = "acme") -> None:
    await ledger.limit(2000, workspace)


async def stirred(waits: Waits) -> list[tuple[str, str]]:
    return [(one.workspace, one.run) for one in await waits.stirred(10)]


async def test_a_change_of_limits_stirs_who_waits_for_them(waits: Waits, ledger: Ledger) -> None:
    assert await stirred(waits) == []
    await ledger.configs.change("acme", LLMChange(keys={"openai": "sk-one"}))
    assert await stirred(waits) == [("acme", "r1")]


async def test_a_top_up_stirs_who_waits_for_it(waits: Waits, ledger: Ledger) -> None:
    actor = Actor(kind="key", id="k1")
    await ledger.spending.top_up(
        TopUp(workspace="acme", timezone="UTC", tokens=1, by=actor, at=NOON)
    )
    assert await stirred(waits) == [("acme", "r1")]


async def test_who_was_told_is_not_told_again(waits: Waits, ledger: Ledger) -> None:
    await stir(ledger)
    [one] = await waits.stirred(10)
    await waits.woken(one)
    assert await waits.stirred(10) == []
    await stir(ledger)
    assert await waits.stirred(10) == [one.model_copy(update={"stirs": 2})]


async def test_what_changes_while_somebody_is_told_is_told_again(
    waits: Waits, ledger: Ledger
) -> None:
    await stir(ledger)
    [one] = await waits.stirred(10)
    await stir(ledger)
    await waits.woken(one)
    assert await waits.stirred(10) == [one.model_copy(update={"stirs": 2})]


async def test_who_notes_a_wait_again_has_looked_since(waits: Waits, ledger: Ledger) -> None:
    await stir(ledger)
    [before] = await waits.stirred(10)
    await waits.note(MINE)
    assert await waits.stirred(10) == []
    await stir(ledger)
    await waits.woken(before)
    assert await stirred(waits) == [("acme", "r1")]


async def test_a_wait_that_is_over_stirs_nobody(waits: Waits, ledger: Ledger) -> None:
    await stir(ledger)
    await stir(ledger, "globex")
    await waits.forget("acme", "r1", "another")
    await waits.forget("globex", "r1", "report")
    assert await stirred(waits) == [("acme", "r1"), ("globex", "r3")]
    await waits.forget("acme", "r1", "report")
    await waits.forget_run("globex", "r3")
    assert await waits.stirred(10) == []


async def test_telling_somebody_who_left_changes_nothing(waits: Waits) -> None:
    await waits.woken(Stirred(workspace="acme", run="gone", step="report", stirs=3))
    assert await waits.stirred(10) == []
