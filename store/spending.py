"""What was spent, by workspace, skill and run; and more to spend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.budget import Alert, RunUsage, SkillUsage, TopUp, UsageMonth, month_of
from core.errors import Conflict, IdempotencyKeyReused
from core.run import TokenUsage
from store.waits import STIR

if TYPE_CHECKING:
    from datetime import datetime

    from asyncpg import Record

    from store.pool import Pool

MONTH = """
    SELECT used, reserved, topped_up, token_budget
    FROM (SELECT) AS one
    LEFT JOIN budget_months ON workspace_id = $1 AND period = $2
    LEFT JOIN llm_configs ON llm_configs.workspace_id = $1
"""
SKILLS = """
    SELECT skill, sum(calls)::bigint AS calls, sum(tokens)::bigint AS tokens,
        coalesce(sum(tokens) FILTER (WHERE key_source = 'own'), 0)::bigint AS own_tokens,
        sum(cost_nano)::bigint AS cost_nano, sum(unpriced)::bigint AS unpriced
    FROM skill_usage
    WHERE workspace_id = $1 AND period = $2
    GROUP BY skill
    ORDER BY skill
"""
ALERTS = """
    SELECT (data ->> 'percent')::int AS percent, at FROM notices
    WHERE workspace_id = $1 AND kind = 'budget_alert' AND data ->> 'period' = $2
    ORDER BY percent
"""
RUN = """
    SELECT calls, input, cache_read, cache_write, output AS output_tokens, cost_nano, unpriced
    FROM run_usage WHERE workspace_id = $1 AND run_id = $2
"""

# A repeated request finds its first row by the index and adds nothing.
TOP_UP = """
    WITH topped AS (
        INSERT INTO top_ups (
            workspace_id, period, tokens, actor_kind, actor_id, idempotency_hash, request_hash, at
        )
        SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM llm_configs
        WHERE workspace_id = $1 AND token_budget IS NOT NULL
        ON CONFLICT DO NOTHING
        RETURNING tokens
    ),
    month AS (
        INSERT INTO budget_months AS known (workspace_id, period, topped_up)
        SELECT $1, $2, tokens FROM topped
        ON CONFLICT (workspace_id, period) DO UPDATE SET
            topped_up = known.topped_up + excluded.topped_up
    )
    SELECT tokens FROM topped
"""
HOLD = "SELECT FROM llm_configs WHERE workspace_id = $1 FOR NO KEY UPDATE"
TOPPED_UP = "SELECT request_hash FROM top_ups WHERE workspace_id = $1 AND idempotency_hash = $2"


class Spending:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def month(self, workspace: str, timezone: str, at: datetime) -> UsageMonth:
        month = month_of(timezone, at)
        row = await self._pool.fetchrow(MONTH, workspace, month.first)
        assert row is not None
        skills = await self._pool.fetch(SKILLS, workspace, month.first)
        alerts = await self._pool.fetch(ALERTS, workspace, month.name)
        topped_up = row["topped_up"] or 0
        limit = row["token_budget"]
        return UsageMonth(
            month=month,
            used=row["used"] or 0,
            reserved=row["reserved"] or 0,
            budget=None if limit is None else limit + topped_up,
            topped_up=topped_up,
            alerts=tuple(Alert(percent=alert["percent"], at=alert["at"]) for alert in alerts),
            skills=tuple(_of_skill(skill) for skill in skills),
        )

    async def of_run(self, workspace: str, run_id: str) -> RunUsage:
        row = await self._pool.fetchrow(RUN, workspace, run_id)
        return RunUsage() if row is None else usage_of(row)

    async def top_up(self, top_up: TopUp) -> None:
        """For this month alone. Raises Conflict where there is no limit to raise."""
        month = month_of(top_up.timezone, top_up.at)
        async with self._pool.transaction() as connection:
            await connection.execute(HOLD, top_up.workspace)
            added = await connection.fetchval(
                TOP_UP,
                top_up.workspace,
                month.first,
                top_up.tokens,
                top_up.by.kind,
                top_up.by.id,
                top_up.once,
                top_up.request,
                top_up.at,
            )
            if added is not None:
                await connection.execute(STIR, top_up.workspace, "budget")
        if added is None:
            await self._require_known(top_up)

    async def _require_known(self, top_up: TopUp) -> None:
        first = await self._pool.fetchrow(TOPPED_UP, top_up.workspace, top_up.once)
        if first is None:
            raise Conflict("this workspace has no token_budget: there is nothing to top up")
        if first["request_hash"] != top_up.request:
            raise IdempotencyKeyReused("this Idempotency-Key was used before, with another request")


def usage_of(row: Record) -> RunUsage:
    """Of a row with the sums of a run, which are NULL where it made no call."""
    if row["calls"] is None:
        return RunUsage()
    into = row["input"] + row["cache_read"] + row["cache_write"]
    out = row["output_tokens"]
    return RunUsage(
        tokens=TokenUsage(input=into, output=out, total=into + out),
        calls=row["calls"],
        cost_nano=_cost(row),
        unpriced_calls=row["unpriced"],
    )


def _of_skill(row: Record) -> SkillUsage:
    return SkillUsage(
        skill=row["skill"],
        calls=row["calls"],
        tokens=row["tokens"],
        own_tokens=row["own_tokens"],
        cost_nano=_cost(row),
        unpriced_calls=row["unpriced"],
    )


def _cost(row: Record) -> int | None:
    """None where no price is known: that is not the same as free."""
    return None if row["unpriced"] == row["calls"] else row["cost_nano"]
