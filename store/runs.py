from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from core.errors import AlreadyExists, IdempotencyKeyReused, NotFound
from core.model import Frozen
from core.run import ENDED, Failure, Run, RunStatus, Trigger
from core.tool import Actor
from store.callbacks import sealed_url
from store.page import Page, decode_time_and_id, encode_cursor
from store.run_rows import RunRows

if TYPE_CHECKING:
    from asyncpg import Record

    from core.effects import RecordRequest
    from store.pool import Pool
    from store.sealing import Keyring

# Where two start the same at once, the loser waits for the winner's row and finds nothing, because
# its snapshot is older; asked again it sees the row.
QUEUE_ATTEMPTS = 3
QUEUE = """
    WITH fresh AS (
        INSERT INTO runs (
            run_id, workspace_id, skill, version, status, trigger, actor_kind, actor_id, label,
            subject_kind, subject_id, parent, lineage, retry_of, idempotency_hash, request_hash,
            inputs, created_at
        )
        VALUES (
            $1, $2, $3, $4, 'queued', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17
        )
        ON CONFLICT DO NOTHING
        RETURNING *
    ), told AS (
        INSERT INTO callbacks (run_id, workspace_id, url)
        SELECT run_id, workspace_id, $18::bytea FROM fresh WHERE $18 IS NOT NULL
    )
    SELECT true AS is_new, fresh.* FROM fresh
    UNION ALL
    SELECT false, runs.* FROM runs
    WHERE workspace_id = $2 AND (run_id = $1 OR idempotency_hash = $14)
    LIMIT 1
"""

# Records may come twice, late, or for a row that a restored database does not have. What a crash
# loses of an open run's, the reconciler mends, so those need not wait for the disk.
RECORD = """
    WITH forgotten AS (
        DELETE FROM waits WHERE $14::boolean AND workspace_id = $2 AND run_id = $1
    )
    INSERT INTO runs AS known (
        run_id, workspace_id, skill, version, status, trigger, actor_kind, actor_id, parent,
        lineage, retry_of, seq, created_at, started_at, completed_at, error_code, error,
        waiting_for, output
    )
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::timestamptz,
        $19::timestamptz, CASE WHEN $14::boolean THEN $13 END, $15, $16, $17, $18
    FROM (SELECT CASE WHEN NOT $14 THEN set_config('synchronous_commit', 'off', true) END) AS _
    ON CONFLICT (run_id) DO UPDATE SET
        status = excluded.status,
        seq = excluded.seq,
        started_at = coalesce(known.started_at, excluded.started_at),
        completed_at = excluded.completed_at,
        archived_at = NULL,
        error_code = excluded.error_code,
        error = excluded.error,
        waiting_for = excluded.waiting_for,
        output = excluded.output
    WHERE known.workspace_id = excluded.workspace_id
        AND known.seq < excluded.seq
        AND (known.completed_at IS NULL OR excluded.completed_at IS NOT NULL)
"""

# What Temporal says of a run stands against what the row says; where they agree, the run's own
# record, which knows more, stays.
SETTLE = """
    WITH settled AS (
        UPDATE runs SET
            status = $2,
            completed_at = $3,
            archived_at = NULL,
            error_code = $4,
            error = $5,
            waiting_for = NULL,
            output = coalesce($6, output)
        WHERE run_id = $1 AND (status <> $2 OR (completed_at IS NULL) <> ($3::timestamptz IS NULL))
        RETURNING run_id, workspace_id, completed_at
    ),
    forgotten AS (
        DELETE FROM waits USING settled
        WHERE waits.workspace_id = settled.workspace_id AND waits.run_id = settled.run_id
            AND completed_at IS NOT NULL
    )
    SELECT run_id FROM settled
"""

KEYED = "SELECT * FROM runs WHERE workspace_id = $1 AND idempotency_hash = $2"
FIND = """
    SELECT runs.*, calls, input, cache_read, cache_write, run_usage.output AS output_tokens,
        cost_nano, unpriced
    FROM runs LEFT JOIN run_usage USING (workspace_id, run_id)
    WHERE run_id = $1 AND ($2::text IS NULL OR workspace_id = $2)
"""
WORKSPACE = "SELECT workspace_id FROM runs WHERE run_id = $1"

PAGE = r"""
    SELECT * FROM run_summaries
    WHERE workspace_id = $1
        AND ($2::text IS NULL OR skill = $2)
        AND ($3::text IS NULL OR status = $3)
        AND ($4::text IS NULL OR trigger = $4)
        AND ($5::text IS NULL OR skill ILIKE $5 OR run_id ILIKE $5 OR label ILIKE $5
            OR error_code ILIKE $5)
        AND ($6::timestamptz IS NULL OR created_at >= $6)
        AND ($7::timestamptz IS NULL OR created_at < $7)
        AND ($8::timestamptz IS NULL OR (created_at, run_id) < ($8, $9::text))
    ORDER BY created_at DESC, run_id DESC
    LIMIT $10
"""

OPEN = """
    SELECT * FROM run_summaries
    WHERE completed_at IS NULL AND created_at < $1
        AND ($2::timestamptz IS NULL OR (created_at, run_id) > ($2, $3::text))
    ORDER BY created_at, run_id
    LIMIT $4
"""

UNARCHIVED = """
    SELECT * FROM run_summaries
    WHERE completed_at IS NOT NULL AND archived_at IS NULL
        AND ($2::timestamptz IS NULL OR completed_at < $2)
    ORDER BY completed_at
    LIMIT $1
"""

ARCHIVE = """
    WITH run AS (
        UPDATE runs SET archived_at = now() WHERE run_id = $1 AND workspace_id = $2
        RETURNING run_id, workspace_id
    )
    INSERT INTO run_logs (run_id, workspace_id, events)
    SELECT run_id, workspace_id, $3 FROM run
    ON CONFLICT (run_id) DO UPDATE SET events = excluded.events
    RETURNING run_id
"""

ARCHIVED = "SELECT events FROM run_logs WHERE run_id = $1 AND workspace_id = $2"

# Hops from skill to skill in the index: a workspace has a few skills and any number of runs.
LAST = """
    WITH RECURSIVE last AS (
        (
            SELECT skill, created_at FROM runs WHERE workspace_id = $1
            ORDER BY skill, created_at DESC LIMIT 1
        )
        UNION ALL
        SELECT following.skill, following.created_at
        FROM last, LATERAL (
            SELECT skill, created_at FROM runs WHERE workspace_id = $1 AND skill > last.skill
            ORDER BY skill, created_at DESC LIMIT 1
        ) AS following
    )
    SELECT skill, created_at FROM last
"""


class NewRun(Frozen):
    """A run that nobody has started yet; hashes are of the idempotency key and of the request."""

    run_id: str
    workspace_id: str
    skill: str
    version: str
    trigger: Trigger
    actor: Actor
    label: str | None = None
    subject_kind: str | None = None
    subject_id: str | None = None
    parent: str | None = None
    lineage: str
    retry_of: str | None = None
    inputs: dict[str, Any] = Field(default_factory=dict[str, Any])
    created_at: datetime
    idempotency_hash: bytes | None = None
    request_hash: bytes | None = None
    callback_url: str | None = Field(default=None, repr=False)


class RunFilter(Frozen):
    """`q` is looked for in skill, run id, label and error code; `until` itself is outside."""

    skill: str | None = None
    status: RunStatus | None = None
    trigger: Trigger | None = None
    q: str | None = None
    since: datetime | None = None
    until: datetime | None = None


ALL = RunFilter()


class Runs:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring
        self._rows = RunRows(keyring)

    async def queue(self, new: NewRun) -> tuple[Run, Literal["new", "existing"]]:
        """The same idempotency hash, or run id, gives the row that was first."""
        place = (new.run_id, new.workspace_id)
        for _ in range(QUEUE_ATTEMPTS):
            row = await self._pool.fetchrow(
                QUEUE,
                new.run_id,
                new.workspace_id,
                new.skill,
                new.version,
                new.trigger,
                new.actor.kind,
                new.actor.id,
                new.label,
                new.subject_kind,
                new.subject_id,
                new.parent,
                new.lineage,
                new.retry_of,
                new.idempotency_hash,
                new.request_hash,
                self._rows.seal(new.inputs, new.workspace_id, new.run_id, "inputs"),
                new.created_at,
                new.callback_url and sealed_url(self._keyring, *place, new.callback_url),
            )
            if row is not None:
                break
        else:
            raise AlreadyExists(f"the run id {new.run_id} is taken")
        _require_same(row, new.request_hash)
        return self._rows.run(row), "new" if row["is_new"] else "existing"

    async def find_keyed(
        self, workspace: str, idempotency_hash: bytes, request_hash: bytes
    ) -> Run | None:
        """The run that this request began before, whatever became of its skill since."""
        row = await self._pool.fetchrow(KEYED, workspace, idempotency_hash)
        if row is None:
            return None
        _require_same(row, request_hash)
        return self._rows.run(row)

    async def record(self, request: RecordRequest) -> None:
        """Late and repeated records change nothing, and no record opens a run that ended."""
        origin = request.origin
        place = (origin.workspace.id, request.run)
        await self._pool.execute(
            RECORD,
            request.run,
            origin.workspace.id,
            origin.skill,
            origin.version,
            request.status,
            origin.trigger,
            origin.actor.kind,
            origin.actor.id,
            origin.parent,
            origin.lineage,
            origin.given_by,
            request.seq,
            request.at,
            request.status in ENDED,
            request.error and request.error.code,
            self._rows.seal_failure(request.error, *place),
            self._rows.seal_waiting(request.waiting_for, *place),
            self._rows.seal(request.output, *place, "output"),
            request.started_at,
        )

    async def settle(
        self,
        run_id: str,
        status: RunStatus,
        completed_at: datetime | None,
        error: Failure | None = None,
        output: Any = None,
    ) -> bool:
        """The reconciler's word, of any workspace, which alone may open a run again; says whether
        it was news. Partial `output` replaces what is there only if there is some."""
        if (completed_at is not None) != (status in ENDED):
            raise ValueError(f"a run that is {status} was completed at {completed_at}")
        workspace = await self._pool.fetchval(WORKSPACE, run_id)
        if workspace is None:
            return False
        place = (workspace, run_id)
        settled = await self._pool.fetchval(
            SETTLE,
            run_id,
            status,
            completed_at,
            error and error.code,
            self._rows.seal_failure(error, *place),
            self._rows.seal(output, *place, "output"),
        )
        return settled is not None

    async def find(self, run_id: str, workspace: str | None) -> Run | None:
        """`workspace` None looks in all of them, for an admin."""
        row = await self._pool.fetchrow(FIND, run_id, workspace)
        return None if row is None else self._rows.run(row)

    async def list_page(
        self, workspace: str, filters: RunFilter = ALL, limit: int = 50, cursor: str | None = None
    ) -> Page[Run]:
        """Newest first, without inputs and output."""
        before, last = decode_time_and_id(cursor) if cursor else (None, None)
        rows = await self._pool.fetch_filtered(
            PAGE,
            workspace,
            filters.skill,
            filters.status,
            filters.trigger,
            _containing(filters.q) if filters.q else None,
            filters.since,
            filters.until,
            before,
            last,
            limit + 1,
        )
        runs = [self._rows.run(row) for row in rows[:limit]]
        if len(rows) <= limit:
            return Page(runs)
        return Page(runs, encode_cursor(runs[-1].created_at, runs[-1].run_id))

    async def open_runs(
        self, older_than: datetime, limit: int, after: Run | None = None
    ) -> list[Run]:
        """Oldest first, of all workspaces; go on `after` the last one, for some wait for weeks."""
        place = (after.created_at, after.run_id) if after else (None, None)
        rows = await self._pool.fetch_filtered(OPEN, older_than, *place, limit)
        return [self._rows.run(row) for row in rows]

    async def unarchived(self, limit: int, ended_before: datetime | None = None) -> list[Run]:
        """Ended runs of all workspaces whose log is not stored, first the one that ended first."""
        rows = await self._pool.fetch(UNARCHIVED, limit, ended_before)
        return [self._rows.run(row) for row in rows]

    async def archive(self, run_id: str, workspace: str, log: list[dict[str, Any]]) -> None:
        # A log of 10,000 items takes a tenth of a second to seal: not in the loop others live in.
        events = await asyncio.to_thread(self._rows.seal, log, workspace, run_id, "log")
        if await self._pool.fetchval(ARCHIVE, run_id, workspace, events) is None:
            raise NotFound(f"no run {run_id}")

    async def archived_log(self, run_id: str, workspace: str) -> list[dict[str, Any]] | None:
        events = await self._pool.fetchval(ARCHIVED, run_id, workspace)
        return await asyncio.to_thread(self._rows.open, events, workspace, run_id, "log")

    async def last_runs(self, workspace: str) -> dict[str, datetime]:
        """When each skill was last started."""
        rows = await self._pool.fetch(LAST, workspace)
        return {row["skill"]: row["created_at"] for row in rows}


def _require_same(row: Record, request_hash: bytes | None) -> None:
    if row["request_hash"] != request_hash:
        raise IdempotencyKeyReused(
            "this Idempotency-Key was used before, with another request", run=row["run_id"]
        )


def _containing(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"
