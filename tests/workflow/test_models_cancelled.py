"""A call that is cancelled holds no budget: what it may have cost is counted at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from activities.beginnings import Beginnings
from activities.models import ModelActivities
from core.llm import Guide, ModelAnswer, ModelQuestion
from llm.payment import finished
from llm.providers import Patience
from llm.router import Provider
from store.pool import Pool
from tests.integration.ledger import until_blocked
from tests.kernel import Kernel, eventually, until
from tests.workflow.flows import flow
from tests.workflow.routed import Routed, ask, open_routed
from worker import make_model_worker

NEVER = "anthropic/fake-slow-600s"
MONTH = "SELECT FROM budget_months WHERE workspace_id = 'acme' FOR UPDATE"
ASKED = {"kind": "generate", "id": "say", "prompt": "Hi"}


@pytest_asyncio.fixture
async def routed(pool: Pool) -> AsyncIterator[Routed]:
    async with open_routed(pool, patience=Patience()) as routed:
        yield routed


def models(kernel: Kernel, routed: Routed) -> ModelActivities:
    attempts: Any = kernel.parts.attempts
    tools: Any = kernel.parts.tools
    router = routed.router(NEVER)
    return ModelActivities(router, tools, NoGuides(), attempts, Beginnings(kernel.runs))


class NoGuides:
    async def guide(self, workspace: str, skill: str, version: str) -> Guide:
        return Guide(instructions="")


async def test_a_call_that_is_given_up_is_counted_at_once(kernel: Kernel, routed: Routed) -> None:
    """One run is cancelled; the other goes on, without the step whose time is up."""
    impatient = {**ASKED, "kind": "reason", "timeout": "1s", "on_error": "continue"}
    after = {"kind": "set", "id": "after", "values": {"text": "went on"}}
    calls = models(kernel, routed)
    async with kernel.worker(), make_model_worker(kernel.client, calls, kernel.task_queue):
        gives_up = await kernel.start(flow(ASKED))
        goes_on = await kernel.start(flow(impatient, after))
        await until(lambda: len(routed.asked) == 2)
        held = await routed.rows("reserved")
        await gives_up.cancel()
        assert await goes_on.result() == {"text": "went on"}
        await eventually(lambda: routed.rows("reserved"), lambda rows: rows == [])
    rows = await routed.rows("spent")
    assert [row["id"] for row in rows] == [row["id"] for row in held]
    for row in rows:
        assert row["input"] + row["output"] == row["reserved"] > 0
        assert (row["estimated"], row["cost_nano"]) == (True, None)
    total = sum(row["reserved"] for row in rows)
    workspace, now = kernel.workspace.id, datetime.now(UTC)
    assert await routed.ledger.month(workspace, at=now) == (total, 0)
    assert await routed.ledger.off() == []


async def cancelled(call: asyncio.Task[Any]) -> None:
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_call_cancelled_before_it_was_sent_gives_back_what_it_reserved(
    routed: Routed, pool: Pool
) -> None:
    router = routed.router("anthropic/well")
    await ask(router, run="r0", lineage="r0")
    [before] = await routed.rows()
    used = before["input"] + before["output"]
    # Room for one more: what this call held would be missing to its neighbour.
    await routed.ledger.limit(used + before["reserved"])
    async with pool.transaction() as other:
        await other.execute(MONTH)
        call = asyncio.create_task(ask(router))
        await until_blocked(pool, call)
        call.cancel()
    await cancelled(call)
    assert len(await routed.rows("released")) == 1
    assert (await ask(router, run="r2", lineage="r2")).stored is False
    assert routed.asked == ["well"] * 2
    assert await routed.ledger.month(at=datetime.now(UTC)) == (2 * used, 0)
    assert await routed.ledger.off() == []


async def test_a_ledger_that_fails_does_not_hide_the_cancellation() -> None:
    asked, told = asyncio.Event(), asyncio.Event()

    async def fails() -> None:
        asked.set()
        await told.wait()
        raise ZeroDivisionError

    call = asyncio.create_task(finished(fails()))
    await asked.wait()
    call.cancel()
    told.set()
    await cancelled(call)


async def test_an_answer_that_came_before_the_cancellation_is_kept(
    routed: Routed, pool: Pool
) -> None:
    call = asyncio.create_task(ask(routed.router("anthropic/fake-slow-100ms")))
    await eventually(lambda: routed.rows("reserved"), bool)
    async with pool.transaction() as other:
        await other.execute(MONTH)
        await until_blocked(pool, call)
        call.cancel()
    await cancelled(call)
    assert len(await routed.rows("settled")) == 1
    assert (await ask(routed.router("anthropic/fake-slow-100ms"), run="r2")).stored
    assert await routed.ledger.off() == []


class Overheard:
    """A provider, and whether it has said anything yet."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.said = asyncio.Event()

    async def ask(
        self, question: ModelQuestion, key: str, on_text: Callable[[str], None] | None = None
    ) -> ModelAnswer:
        assert on_text is not None

        def listen(text: str) -> None:
            on_text(text)
            self.said.set()

        return await self._provider.ask(question, key, listen)


async def test_a_call_cancelled_in_the_midst_of_its_answer_is_counted_as_far_as_it_came(
    routed: Routed,
) -> None:
    provider = routed.providers["anthropic"] = Overheard(routed.providers["anthropic"])
    stalls = routed.router("anthropic/fake-stall")
    call = asyncio.create_task(ask(stalls, max_tokens=4_000, is_last=lambda _: True))
    await provider.said.wait()
    call.cancel()
    await cancelled(call)
    [row] = await routed.rows("spent")
    assert row["estimated"]
    assert 0 < row["output"] < 100
    assert await routed.ledger.month(at=datetime.now(UTC)) == (row["input"] + row["output"], 0)
    assert await routed.ledger.off() == []


async def test_what_a_stopping_worker_leaves_is_taken_over_by_the_next_attempt(
    routed: Routed,
) -> None:
    call = asyncio.create_task(ask(routed.router(NEVER), is_last=lambda _: False))
    await until(lambda: routed.asked != [])
    call.cancel()
    await cancelled(call)
    assert len(await routed.rows("reserved")) == 1
    await ask(routed.router("anthropic/well"), attempt=2)
    assert len(await routed.rows("superseded")) == 1
    assert len(await routed.rows("settled")) == 1
    assert await routed.rows("reserved", "spent") == []
    assert await routed.ledger.off() == []
