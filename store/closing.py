"""How a call leaves the budget: every end of it is one statement, with all that it counts in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from core.budget import CallId
from core.llm import Usage

if TYPE_CHECKING:
    from datetime import datetime

    from store.pool import Pool

ALERTS = [75, 90, 100]  # percent of the month's budget
REAPED_AT_ONCE = 200
OPEN = ["reserved"]
HELD = ["reserved", "expired"]
SETTLEABLE = ["reserved", "superseded", "released", "expired"]

# Ends a call, whatever it was before; what was counted when it expired is corrected. A late answer
# is `spent`: another attempt may have the call's place by then.
CLOSE = """
    WITH before AS (
        SELECT * FROM llm_calls
        WHERE workspace_id = $1 AND id = $2 AND state = ANY ($3::text[])
        FOR UPDATE
    ),
    closed AS (
        UPDATE llm_calls AS call SET
            state = CASE
                WHEN $4 = 'settled' AND before.state <> 'reserved' THEN 'spent' ELSE $4
            END,
            input = $5, cache_read = $6, cache_write = $7, output = $8, estimated = $9,
            cost_nano = $10, price_version = $11, latency_ms = $12, answer = $13, ended_at = now()
        FROM before
        WHERE call.id = before.id
    ),
    change AS (
        SELECT run_id, period, skill, key_source,
            CASE state WHEN 'reserved' THEN reserved ELSE 0 END AS freed,
            $5 - input AS input, $6 - cache_read AS cache_read, $7 - cache_write AS cache_write,
            $8 - output AS output,
            $5 + $6 + $7 + $8 - input - cache_read - cache_write - output AS tokens,
            ($4 <> 'released')::int - (state = 'expired')::int AS calls,
            coalesce($10::bigint, 0) AS cost_nano,
            ($4 <> 'released' AND $10 IS NULL)::int - (state = 'expired')::int AS unpriced
        FROM before
    ),
    run AS (
        UPDATE run_usage AS run SET
            reserved = run.reserved - change.freed,
            calls = run.calls + change.calls,
            input = run.input + change.input,
            cache_read = run.cache_read + change.cache_read,
            cache_write = run.cache_write + change.cache_write,
            output = run.output + change.output,
            cost_nano = run.cost_nano + change.cost_nano,
            unpriced = run.unpriced + change.unpriced
        FROM change
        WHERE run.workspace_id = $1 AND run.run_id = change.run_id
        RETURNING run.run_id
    ),
    month AS (
        UPDATE budget_months AS month SET
            reserved = month.reserved - change.freed, used = month.used + change.tokens
        FROM change, run
        WHERE month.workspace_id = $1 AND month.period = change.period
            AND change.key_source <> 'own'
        RETURNING month.period, month.used, month.topped_up
    ),
    skill AS (
        INSERT INTO skill_usage AS known (
            workspace_id, period, skill, key_source, calls, tokens, cost_nano, unpriced
        )
        SELECT $1, period, skill, key_source, calls, tokens, cost_nano, unpriced
        FROM change WHERE $4 <> 'released' OR calls <> 0
        ON CONFLICT (workspace_id, period, skill, key_source) DO UPDATE SET
            calls = known.calls + excluded.calls,
            tokens = known.tokens + excluded.tokens,
            cost_nano = known.cost_nano + excluded.cost_nano,
            unpriced = known.unpriced + excluded.unpriced
    ),
    alert AS (
        INSERT INTO notices (workspace_id, key, kind, data)
        SELECT $1, format('budget %s %s', period, percent), 'budget_alert', jsonb_build_object(
            'percent', percent, 'period', to_char(period, 'YYYY-MM'), 'tokens_used', used,
            'token_budget', token_budget + topped_up
        )
        FROM month, llm_configs, unnest($14::int[]) AS percent
        WHERE workspace_id = $1 AND used > 0 AND used * 100 >= (token_budget + topped_up) * percent
        ON CONFLICT DO NOTHING
        RETURNING (data ->> 'percent')::int AS percent
    )
    SELECT percent FROM alert ORDER BY percent
"""

# Attempts that are told of their run's end close what they hold themselves, within seconds; where
# one had failed and its successor was still to begin, nobody does.
DEAD = """
    SELECT workspace_id, id, reserved FROM llm_calls AS call
    WHERE state = 'reserved' AND (
        reserved_at < $1
        OR (
            SELECT completed_at FROM runs
            WHERE workspace_id = call.workspace_id AND run_id = call.run_id
        ) < now() - interval '1 minute'
    )
    ORDER BY reserved_at
    LIMIT $2
"""


@dataclass(frozen=True)
class End:
    state: Literal["settled", "spent", "released", "expired"]
    usage: Usage
    cost_nano: int | None = None
    price_version: str | None = None
    latency_ms: int | None = None
    answer: bytes | None = None


async def close(pool: Pool, call: CallId, states: list[str], end: End) -> tuple[int, ...]:
    """Of a call in one of these states; gives the alerts that it was the first to reach."""
    usage = end.usage
    rows = await pool.fetch(
        CLOSE,
        call.workspace,
        call.id,
        states,
        end.state,
        usage.input,
        usage.cache_read,
        usage.cache_write,
        usage.output,
        usage.estimated,
        end.cost_nano,
        end.price_version,
        end.latency_ms,
        end.answer,
        ALERTS,
    )
    return tuple(row["percent"] for row in rows)


async def give_up(pool: Pool, before: datetime) -> int:
    """What is held since before then, or by runs that ended, counts as spent; says how many."""
    rows = await pool.fetch(DEAD, before, REAPED_AT_ONCE)
    for row in rows:
        call = CallId(workspace=row["workspace_id"], id=row["id"])
        spent = Usage(output=row["reserved"], estimated=True)
        await close(pool, call, OPEN, End("expired", spent))
    return len(rows)
