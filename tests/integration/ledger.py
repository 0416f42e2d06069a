"""Calls that cost tokens, and whether the counters say what the ledger says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from core.budget import AlreadyAnswered, Reservation, Reserve, Reserved
from core.llm import Usage
from core.tool import Actor
from store.budgets import Budgets
from store.llm_config import LLMChange, LLMConfigs
from store.runs import NewRun
from store.sealing import Keyring
from store.spending import Spending
from store.workspaces import Workspaces
from tests.kernel import eventually

if TYPE_CHECKING:
    import asyncio

    from core.budget import CallId
    from store.pool import Pool

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEXT_MONTH = NOON + timedelta(days=15)
SOMEBODY = Actor(kind="key", id="k1")
KEYRING = Keyring({"test": bytes(32)})

# What the ledger adds up to, against what is counted; no row is the right answer.
MONTHS_OFF = """
    SELECT * FROM (
        SELECT workspace_id, period,
            sum(input + cache_read + cache_write + output)::bigint AS used,
            coalesce(sum(reserved) FILTER (WHERE state = 'reserved'), 0)::bigint AS reserved
        FROM llm_calls WHERE key_source <> 'own' GROUP BY 1, 2
    ) AS ledger
    FULL JOIN budget_months AS counted USING (workspace_id, period)
    WHERE coalesce(ledger.used, 0) <> coalesce(counted.used, -1)
        OR coalesce(ledger.reserved, 0) <> coalesce(counted.reserved, -1)
"""
RUNS_OFF = """
    SELECT * FROM (
        SELECT workspace_id, run_id,
            coalesce(sum(reserved) FILTER (WHERE state = 'reserved'), 0)::bigint AS reserved,
            count(*) FILTER (WHERE state IN ('settled', 'spent', 'expired')) AS calls,
            count(*) FILTER (
                WHERE state IN ('settled', 'spent', 'expired') AND cost_nano IS NULL
            ) AS unpriced,
            sum(input)::bigint AS input, sum(cache_read)::bigint AS cache_read,
            sum(cache_write)::bigint AS cache_write, sum(output)::bigint AS output,
            coalesce(sum(cost_nano), 0)::bigint AS cost_nano
        FROM llm_calls GROUP BY 1, 2
    ) AS ledger
    FULL JOIN run_usage AS counted USING (workspace_id, run_id)
    WHERE (
        coalesce(ledger.reserved, 0), coalesce(ledger.calls, 0), coalesce(ledger.unpriced, 0),
        coalesce(ledger.input, 0), coalesce(ledger.cache_read, 0),
        coalesce(ledger.cache_write, 0), coalesce(ledger.output, 0), coalesce(ledger.cost_nano, 0)
    ) IS DISTINCT FROM (
        counted.reserved, counted.calls, counted.unpriced, counted.input, counted.cache_read,
        counted.cache_write, counted.output, counted.cost_nano
    )
"""
SKILLS_OFF = """
    SELECT * FROM (
        SELECT workspace_id, period, skill, key_source, count(*) AS calls,
            sum(input + cache_read + cache_write + output)::bigint AS tokens,
            coalesce(sum(cost_nano), 0)::bigint AS cost_nano,
            count(*) FILTER (WHERE cost_nano IS NULL) AS unpriced
        FROM llm_calls WHERE state IN ('settled', 'spent', 'expired') GROUP BY 1, 2, 3, 4
    ) AS ledger
    FULL JOIN skill_usage AS counted USING (workspace_id, period, skill, key_source)
    WHERE (
        coalesce(ledger.calls, 0), coalesce(ledger.tokens, 0), coalesce(ledger.cost_nano, 0),
        coalesce(ledger.unpriced, 0)
    ) IS DISTINCT FROM (counted.calls, counted.tokens, counted.cost_nano, counted.unpriced)
"""


def ask(**changes: Any) -> Reserve:
    return Reserve(
        **{
            "workspace": "acme",
            "timezone": "UTC",
            "run": "r1",
            "lineage": "r1",
            "path": "report",
            "skill": "hygiene",
            "model": "anthropic/large",
            "key_source": "platform",
            "call_key": "r1:report#1",
            "attempt": 1,
            "request_hash": "h1",
            "tokens": 1000,
            "at": NOON,
            **changes,
        }
    )


def spent(tokens: int) -> Usage:
    return Usage(input=tokens - tokens // 4, output=tokens // 4)


class Ledger:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.budgets = Budgets(pool, KEYRING)
        self.spending = Spending(pool)
        self.configs = LLMConfigs(pool, KEYRING)

    @classmethod
    async def of(cls, pool: Pool) -> Ledger:
        for workspace in ("acme", "globex"):
            await Workspaces(pool).create(workspace, workspace)
        return cls(pool)

    async def limit(self, tokens: int | None, workspace: str = "acme") -> None:
        await self.configs.change(workspace, LLMChange(token_budget=tokens))

    async def reserved(self, **changes: Any) -> Reserved:
        got = await self.budgets.reserve(ask(**changes))
        assert isinstance(got, Reserved), got
        return got

    async def settle(
        self, call: CallId, tokens: int, answer: Any = "well", cost_nano: int | None = 5
    ) -> tuple[int, ...]:
        return await self.budgets.settle(
            call,
            spent(tokens),
            cost_nano=cost_nano,
            price_version="2026-11",
            latency_ms=12,
            answer=answer,
        )

    async def spend(self, call: CallId, tokens: int) -> None:
        await self.budgets.spend(call, spent(tokens), cost_nano=5, price_version="2026-11")

    async def called(self, tokens: int, **changes: Any) -> tuple[int, ...]:
        """A call from its beginning to its end."""
        got = await self.reserved(tokens=tokens, **changes)
        return await self.settle(got.call, tokens)

    async def month(self, workspace: str = "acme", **changes: Any) -> tuple[int, int]:
        """What is used, and what is reserved."""
        whole = await self.spending.month(
            workspace, changes.get("timezone", "UTC"), changes.get("at", NOON)
        )
        return whole.used, whole.reserved

    async def off(self) -> list[Any]:
        queries = (MONTHS_OFF, RUNS_OFF, SKILLS_OFF)
        return [row for query in queries for row in await self.pool.fetch(query)]


def answers(outcomes: list[Reservation]) -> list[Any]:
    return [got.answer for got in outcomes if isinstance(got, AlreadyAnswered)]


async def until_blocked(pool: Pool, task: asyncio.Task[Any]) -> None:
    """Or until it is done without having waited."""
    waiting = """
        SELECT EXISTS (
            SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'
        )
    """
    await eventually(lambda: pool.fetchval(waiting), lambda blocked: blocked or task.done())


def queued(run: str, workspace: str) -> NewRun:
    return NewRun(
        run_id=run,
        workspace_id=workspace,
        skill="hygiene",
        version="v1",
        trigger="manual",
        actor=SOMEBODY,
        lineage="r",
        created_at=NOON,
    )
