"""Tokens are reserved before a call and settled after it: the check is the write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import asyncpg

from core.budget import (
    AlreadyAnswered,
    CallId,
    Crowded,
    Exhausted,
    InFlight,
    Reservation,
    Reserve,
    Reserved,
    RunExhausted,
    month_of,
)
from core.errors import Unavailable
from core.llm import Usage
from store.closing import HELD, SETTLEABLE, End, close, give_up
from store.waits import NOTE

if TYPE_CHECKING:
    from datetime import datetime

    from asyncpg import Record

    from core.budget import Month
    from store.pool import Pool
    from store.sealing import Keyring

# Another look is needed where rows changed between the statement's snapshot and its locks.
RESERVE_ATTEMPTS = 10

# Locks are taken in one order, here and in closing.py: calls, run, month. What locks read is the
# latest there is, all else is as old as the snapshot; `moved` says where the two differ.
# LEAST passes over NULL, which is no limit.
RESERVE = """
    WITH answered AS (
        SELECT * FROM llm_calls
        WHERE workspace_id = $1 AND call_key = $4 AND request_hash = $5 AND answer IS NOT NULL
        ORDER BY id
        LIMIT 1
    ),
    older AS (
        SELECT id FROM llm_calls
        WHERE workspace_id = $1 AND call_key = $4 AND run_id = $3 AND attempt < $6
            AND state = 'reserved'
    ),
    dead AS (
        SELECT id, period, reserved, key_source <> 'own' AS limited FROM llm_calls
        WHERE workspace_id = $1 AND call_key = $4 AND run_id = $3 AND attempt < $6
            AND state = 'reserved'
        FOR UPDATE
    ),
    taken AS (
        SELECT count(*) <> (SELECT count(*) FROM older) AS moved,
            coalesce(sum(reserved), 0)::bigint AS of_run,
            coalesce(sum(reserved) FILTER (WHERE limited AND period = $2), 0)::bigint AS of_month
        FROM dead
        HAVING NOT EXISTS (SELECT FROM answered)
    ),
    run AS (
        SELECT moved, of_run, of_month, reserved AS held,
            input + cache_read + cache_write + output AS used
        FROM taken, run_usage
        WHERE workspace_id = $1 AND run_id = $3
        FOR UPDATE OF run_usage
    ),
    month AS (
        SELECT month.used, month.reserved AS held, month.topped_up
        FROM run, budget_months AS month
        WHERE workspace_id = $1 AND period = $2 AND $10
        FOR UPDATE OF month
    ),
    room AS (
        SELECT run.moved, month.used AS month_used, token_budget + month.topped_up AS month_limit,
            $11::bigint - run.used AS run_unspent,
            $11::bigint - run.used - run.held + run.of_run AS run_left,
            token_budget + month.topped_up - month.used AS month_unspent,
            token_budget + month.topped_up - month.used - month.held + run.of_month AS month_left
        FROM run
        LEFT JOIN month ON true
        LEFT JOIN llm_configs ON workspace_id = $1 AND $10
        WHERE month.used IS NOT NULL OR NOT $10
    ),
    verdict AS (
        SELECT room.*, least($8::bigint, run_left, month_left) AS granted,
            CASE
                WHEN EXISTS (
                    SELECT FROM llm_calls
                    WHERE workspace_id = $1 AND call_key = $4 AND request_hash = $5
                        AND run_id = $3 AND attempt = $6 AND model = $7 AND state = 'reserved'
                ) THEN 'in_flight'
                WHEN moved THEN 'moved'
                WHEN run_unspent < $9::bigint THEN 'run_exhausted'
                WHEN month_unspent < $9::bigint THEN 'exhausted'
                WHEN least($8::bigint, run_left, month_left) < $9::bigint THEN 'crowded'
                ELSE 'reserved'
            END AS word
        FROM room
    ),
    call AS (
        INSERT INTO llm_calls (
            workspace_id, call_key, request_hash, run_id, lineage, path, turn, attempt, skill,
            model, key_source, period, reserved, reserved_at
        )
        SELECT $1, $4, $5, $3, $12, $13, $14, $6, $15, $7, $16, $2, granted, $17
        FROM verdict WHERE word = 'reserved'
        RETURNING id, reserved
    ),
    superseded AS (
        UPDATE llm_calls AS old SET state = 'superseded', ended_at = now()
        FROM dead, call
        WHERE old.id = dead.id
    ),
    of_run AS (
        UPDATE run_usage SET reserved = run_usage.reserved + call.reserved - taken.of_run
        FROM call, taken
        WHERE workspace_id = $1 AND run_id = $3
    ),
    of_months AS (
        UPDATE budget_months AS month SET reserved = month.reserved + delta.tokens
        FROM (
            SELECT period, sum(tokens)::bigint AS tokens FROM (
                SELECT $2::date AS period, call.reserved AS tokens FROM call WHERE $10
                UNION ALL
                SELECT dead.period, -dead.reserved FROM dead, call WHERE dead.limited
            ) AS changes
            GROUP BY period
        ) AS delta
        WHERE month.workspace_id = $1 AND month.period = delta.period
    ),
    refusal AS (
        INSERT INTO notices (workspace_id, key, kind, data)
        SELECT $1, format('budget exhausted %s %s', $2::date, month_limit), 'budget_exhausted',
            jsonb_build_object(
                'period', to_char($2::date, 'YYYY-MM'), 'tokens_used', month_used,
                'token_budget', month_limit, 'tokens_asked', $9::bigint
            )
        FROM verdict WHERE word = 'exhausted'
        ON CONFLICT DO NOTHING
    ),
    waited AS (
        DELETE FROM waits USING call
        WHERE workspace_id = $1 AND run_id = $3 AND step = $13 AND kind = 'budget'
    )
    SELECT coalesce(word, 'unopened') AS word, call.id, call.reserved, run_left, run_unspent,
        month_left, month_unspent, $11::bigint AS run_limit, answered.id AS answered_id,
        answered.answer, answered.model, answered.input, answered.cache_read, answered.cache_write,
        answered.output, answered.estimated, answered.cost_nano, answered.key_source
    FROM (SELECT) AS one
    LEFT JOIN verdict ON true
    LEFT JOIN call ON true
    LEFT JOIN answered ON true
"""

HOLD = "SELECT FROM llm_configs WHERE workspace_id = $1 FOR SHARE"

# The rows that RESERVE locks.
OPEN = """
    WITH month AS (
        INSERT INTO budget_months (workspace_id, period) VALUES ($1, $2) ON CONFLICT DO NOTHING
    )
    INSERT INTO run_usage (workspace_id, run_id) VALUES ($1, $3) ON CONFLICT DO NOTHING
"""


class Budgets:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def reserve(self, ask: Reserve) -> Reservation:
        """One statement admits the call, takes over what dead attempts of it held, and notes it."""
        month = month_of(ask.timezone, ask.at)
        noted = False
        for _ in range(RESERVE_ATTEMPTS):
            try:
                row = await self._pool.fetchrow(RESERVE, *_arguments(ask, month))
            except asyncpg.UniqueViolationError:
                continue
            assert row is not None
            if row["answered_id"] is not None:
                return self._answered(ask, row)
            if row["word"] == "unopened":
                await self._pool.execute(OPEN, ask.workspace, month.first, ask.run)
            elif row["word"] == "exhausted" and not noted:
                noted = True
                await self._note_wait(ask, month)
            elif row["word"] != "moved":
                return _told(ask, month, row)
        raise Unavailable("this call changes too quickly to be reserved")

    async def settle(
        self,
        call: CallId,
        usage: Usage,
        *,
        cost_nano: int | None,
        price_version: str | None,
        latency_ms: int | None,
        answer: Any,
    ) -> tuple[int, ...]:
        """Gives the alerts that this call reached first. Once; a second time is nothing."""
        sealed = self._keyring.seal_json(answer, _place(call))
        end = End("settled", usage, cost_nano, price_version, latency_ms, sealed)
        return await close(self._pool, call, SETTLEABLE, end)

    async def spend(
        self, call: CallId, usage: Usage, *, cost_nano: int | None, price_version: str | None
    ) -> tuple[int, ...]:
        """For a call that brought no answer. One that another attempt took over is left to that."""
        end = End("spent", usage, cost_nano, price_version)
        return await close(self._pool, call, HELD, end)

    async def release(self, call: CallId) -> None:
        """For a call that the provider surely did not process."""
        await close(self._pool, call, HELD, End("released", Usage()))

    async def reap(self, before: datetime) -> int:
        """Counts as spent what is held since before then, or by runs that ended; says how many."""
        return await give_up(self._pool, before)

    async def _note_wait(self, ask: Reserve, month: Month) -> None:
        """So that whoever changes the budget stirs this run; then it has to be looked at again.

        Changes hold the config's row. One that was first is seen by the next look, and one that
        comes later sees the wait.
        """
        async with self._pool.transaction() as connection:
            await connection.execute(HOLD, ask.workspace)
            await connection.execute(
                NOTE, ask.workspace, ask.run, ask.path, "budget", month.resets_at
            )

    def _answered(self, ask: Reserve, row: Record) -> AlreadyAnswered:
        call = CallId(workspace=ask.workspace, id=row["answered_id"])
        return AlreadyAnswered(
            call=call,
            answer=self._keyring.open_json(row["answer"], _place(call)),
            model=row["model"],
            usage=Usage(
                input=row["input"],
                cache_read=row["cache_read"],
                cache_write=row["cache_write"],
                output=row["output"],
                estimated=row["estimated"],
            ),
            cost_nano=row["cost_nano"],
            key_source=row["key_source"],
        )


def _arguments(ask: Reserve, month: Month) -> tuple[Any, ...]:
    return (
        ask.workspace,
        month.first,
        ask.run,
        ask.call_key,
        ask.request_hash,
        ask.attempt,
        ask.model,
        ask.tokens,
        ask.tokens if ask.least is None else ask.least,
        ask.key_source != "own",
        ask.run_limit,
        ask.lineage,
        ask.path,
        ask.turn,
        ask.skill,
        ask.key_source,
        ask.at,
    )


def _told(ask: Reserve, month: Month, row: Record) -> Reservation:
    match cast("str", row["word"]):
        case "reserved":
            return Reserved(
                call=CallId(workspace=ask.workspace, id=row["id"]), tokens=row["reserved"]
            )
        case "in_flight":
            return InFlight()
        case "run_exhausted":
            return RunExhausted(tokens_left=max(0, row["run_unspent"]), limit=row["run_limit"])
        case "exhausted":
            left = max(0, row["month_unspent"])
            return Exhausted(tokens_left=left, resets_at=month.resets_at)
        case _:
            lefts = [left for left in (row["run_left"], row["month_left"]) if left is not None]
            return Crowded(tokens_left=max(0, min(lefts)))


def _place(call: CallId) -> str:
    return f"{call.workspace}/llm/calls/{call.id}/answer"
