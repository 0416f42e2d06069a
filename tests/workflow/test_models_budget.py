"""Budgets through the router: what is admitted, and what the counters say of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest_asyncio

from core.effects import WAKE, ModelRequest
from core.errors import BudgetCrowded, BudgetExceeded
from llm.router import Router
from store.llm_config import LLMChange
from store.pool import Pool
from tests.kernel import Kernel, eventually
from tests.talk import Said, Talk, says
from tests.workflow.flows import flow
from tests.workflow.routed import Routed, ask, open_routed

CALLS, ADMITTED = 400, 100


@pytest_asyncio.fixture
async def routed(pool: Pool) -> AsyncIterator[Routed]:
    async with open_routed(pool) as routed:
        yield routed


async def until_told(router: Router, number: int) -> str:
    """What becomes of a call that looks again as long as others hold what it needs."""
    attempt = 1
    while True:
        try:
            reply = await ask(router, run=f"r{number}", lineage=f"r{number}", attempt=attempt)
        except BudgetCrowded:
            await asyncio.sleep(0.02)
            attempt += 1
        except BudgetExceeded:
            return "waits"
        else:
            assert not reply.stored
            return "answered"


async def test_of_400_at_once_a_limit_for_100_admits_100(routed: Routed) -> None:
    router = routed.router("anthropic/well")
    await ask(router, run="measured", lineage="measured", workspace="globex")
    [row] = await routed.rows()
    used = row["input"] + row["output"]
    assert used < row["reserved"]
    # The last to be admitted finds just what it has to reserve; the next one finds less.
    limit = (ADMITTED - 1) * used + row["reserved"]
    await routed.ledger.limit(limit)
    routed.demo.requests.clear()

    outcomes = Counter(
        await asyncio.gather(*(until_told(router, number) for number in range(CALLS)))
    )
    assert outcomes == {"answered": ADMITTED, "waits": CALLS - ADMITTED}
    assert len(routed.asked) == ADMITTED
    now = datetime.now(UTC)
    assert await routed.ledger.month(at=now) == (ADMITTED * used, 0)
    assert len(await routed.rows("settled")) == ADMITTED + 1
    assert await routed.ledger.off() == []


async def test_one_workspace_without_budget_leaves_another_alone(routed: Routed) -> None:
    await routed.ledger.limit(0)
    router = routed.router("anthropic/well")
    ours, theirs = await asyncio.gather(
        until_told(router, 1), ask(router, workspace="globex", run="r2", lineage="r2")
    )
    assert (ours, theirs.key_source) == ("waits", "platform")
    assert {row["workspace_id"] for row in await routed.rows()} == {"globex"}
    now = datetime.now(UTC)
    assert await routed.ledger.month(at=now) == (0, 0)
    assert (await routed.ledger.configs.find("globex")).token_budget is None


async def test_the_lower_of_two_limits_of_a_run_holds(routed: Routed) -> None:
    await routed.ledger.configs.change("acme", LLMChange(run_max_tokens=50))
    outcome = await routed.until_it_ends(routed.router("anthropic/well"), run_limit=1_000_000)
    assert getattr(outcome, "code", None) == "run_tokens_exhausted"
    assert routed.asked == []


async def test_a_run_outlives_a_budget_that_others_hold_for_long(kernel: Kernel) -> None:
    """Attempts are for faults; what is crowded now may be free in a minute."""
    crowded = 3

    def say(request: ModelRequest) -> Said:
        if talk.calls[request.context.path] <= crowded:
            return BudgetCrowded("held by others", retry_after=timedelta(milliseconds=5))
        return says("well")

    talk = Talk(kernel, say)
    step = {
        "kind": "generate",
        "id": "say",
        "prompt": "Hi",
        "retry": {"attempts": 2, "backoff": "5ms"},
    }
    async with kernel.worker(), talk.worker():
        handle = await kernel.start(flow(step))
        async with asyncio.timeout(15):
            assert await handle.result() == "well"
    assert talk.calls["say"] == crowded + 1


async def test_a_wake_that_comes_while_the_call_looks_is_not_lost(kernel: Kernel) -> None:
    looked = asyncio.Event()
    woken = False

    def say(request: ModelRequest) -> Said:
        looked.set()
        if woken:
            return says("well")
        reset = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
        return BudgetExceeded("no tokens are left", resets_at=reset)

    talk = Talk(kernel, say)
    async with kernel.worker():
        handle = await kernel.start(flow({"kind": "generate", "id": "say", "prompt": "Hi"}))
        # Once it is asked, and before anybody takes it and is refused.
        await eventually(handle.describe, lambda run: run.raw_description.pending_activities)
        await handle.signal(WAKE)
        async with talk.worker():
            await looked.wait()
            woken = True
            async with asyncio.timeout(15):
                assert await handle.result() == "well"
    assert talk.calls["say"] == 2
