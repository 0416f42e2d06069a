from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import asyncpg
from pydantic import TypeAdapter

from core.connector import SourceConfig
from core.crm import KINDS, Kind
from core.errors import AlreadyExists, Conflict, NotFound, SyncTakenOver
from core.model import Frozen
from core.run import RunStatus
from core.sync import MOST_FAULTS, Reading, Tally
from store.crm.records import AT_ONCE, Written, delete_unseen_within, write_within
from store.workspaces import owned_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.connector import Page
    from store.pool import Connection, Pool

# From so many changed rows of a kind on, the planner is told of them at once: what follows a first
# sync asks before autovacuum has counted, and took 5 s for 2,000 deals, or for ever for more.
MANY = 1_000
COUNT: dict[Kind, str] = {
    "accounts": "ANALYZE crm_accounts",
    "contacts": "ANALYZE crm_contacts",
    "deals": "ANALYZE crm_deals, crm_deal_contacts, crm_deal_changes",
    "activities": "ANALYZE crm_activities, crm_activity_deals",
    "conversations": "ANALYZE crm_conversations, crm_conversation_deals",
}
# Clocks differ a little, and what a source tells of a change may lag behind it.
OVERLAP = timedelta(minutes=10)
CONFIG: TypeAdapter[SourceConfig] = TypeAdapter(SourceConfig)

CREATE = """
    INSERT INTO sources (workspace_id, id, config) VALUES ($1, $2, $3)
"""
SELECT = """
    SELECT s.*, r.status AS sync_status FROM sources s
    LEFT JOIN runs r ON r.run_id = s.sync_run AND r.workspace_id = s.workspace_id
    WHERE s.workspace_id = $1 AND ($2::text IS NULL OR s.id = $2)
    ORDER BY s.id
"""
# Read another way, all has to be read once more.
CHANGE = """
    WITH forgotten AS (
        UPDATE source_passes SET known_to = NULL WHERE workspace_id = $1 AND source_id = $2
    )
    UPDATE sources SET config = $3, updated_at = now() WHERE workspace_id = $1 AND id = $2
"""
DELETE = "DELETE FROM sources WHERE workspace_id = $1 AND id = $2"
LOCK = "SELECT sync_run FROM sources WHERE workspace_id = $1 AND id = $2 FOR UPDATE"
# Asked after the lock, so that it sees who held it before. A claim without a row is of somebody who
# is about to write one, unless it is old.
UNDER_WAY = """
    SELECT s.sync_run FROM sources s
    LEFT JOIN runs r ON r.run_id = s.sync_run AND r.workspace_id = s.workspace_id
    WHERE s.workspace_id = $1 AND s.id = $2 AND s.sync_run IS NOT NULL
        AND CASE
            WHEN r.run_id IS NULL THEN s.claimed_at > now() - interval '1 minute'
            ELSE r.completed_at IS NULL
        END
"""
CLAIM = """
    UPDATE sources SET sync_run = $3, claimed_at = now() WHERE workspace_id = $1 AND id = $2
"""
# A pass that this run has begun already goes on where it is.
BEGIN = """
    INSERT INTO source_passes (workspace_id, source_id, kind, run_id, began_at, phase)
    SELECT $1, $2, kind, $3, now(), 'reading' FROM unnest($4::text[]) AS kind
    ON CONFLICT (workspace_id, source_id, kind) DO UPDATE SET
        run_id = excluded.run_id,
        began_at = excluded.began_at,
        since = CASE WHEN NOT $5::boolean THEN source_passes.known_to - $6::interval END,
        phase = 'reading',
        page = 0,
        cursor = NULL,
        newest = NULL,
        read = 0,
        written = 0,
        deleted = 0,
        unchanged = 0,
        faults = 0,
        lost = 0,
        first_faults = '{}'
    WHERE source_passes.run_id <> excluded.run_id
"""
PASSES = "SELECT * FROM source_passes WHERE workspace_id = $1 AND source_id = $2"
PASS = """
    SELECT * FROM source_passes WHERE workspace_id = $1 AND source_id = $2 AND kind = $3
"""
LOCK_PASS = PASS + " FOR UPDATE"
TURN = """
    UPDATE source_passes SET
        page = page + 1,
        cursor = $4,
        phase = $5,
        newest = greatest(newest, $6),
        read = read + $7,
        written = written + $8,
        deleted = deleted + $9,
        unchanged = unchanged + $10,
        faults = faults + $11,
        first_faults = (first_faults || $12::text[])[:$13],
        lost = lost + $14,
        known_to = CASE WHEN $5 = 'done' THEN
            -- What changed while it was read may have been passed by already.
            coalesce(least(greatest(newest, $6), began_at), known_to)
        ELSE known_to END
    WHERE workspace_id = $1 AND source_id = $2 AND kind = $3
    RETURNING *
"""


class SourceRow(Frozen):
    id: str
    config: SourceConfig
    sync_run: str | None
    sync_status: RunStatus | None
    claimed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Pass(Frozen):
    """`page` counts what was written: who read one that is written already is late."""

    kind: Kind
    known_to: datetime | None
    run_id: str
    since: datetime | None
    phase: Literal["reading", "sweeping", "done"]
    page: int
    cursor: str | None
    tally: Tally
    lost: int
    first_faults: tuple[str, ...]

    @property
    def reading(self) -> Reading:
        return Reading(
            kind=self.kind,
            tally=self.tally,
            since=self.since,
            is_done=self.phase == "done",
            faults=self.first_faults,
        )


class Sources:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(self, workspace: str, id: str, config: SourceConfig) -> None:
        try:
            with owned_by(workspace):
                await self._pool.execute(CREATE, workspace, id, _dumped(config))
        except asyncpg.UniqueViolationError:
            raise AlreadyExists(f"there is a source {id} already") from None

    async def get(self, workspace: str, id: str) -> SourceRow:
        row = await self._pool.fetchrow(SELECT, workspace, id)
        if row is None:
            raise _no_source(id)
        return _source(row)

    async def list_all(self, workspace: str) -> list[SourceRow]:
        return [_source(row) for row in await self._pool.fetch(SELECT, workspace, None)]

    async def change(self, workspace: str, id: str, config: SourceConfig) -> None:
        """Raises Conflict while a sync is under way."""
        async with self._pool.transaction() as connection:
            await _require_idle(connection, workspace, id)
            await connection.execute(CHANGE, workspace, id, _dumped(config))

    async def delete(self, workspace: str, id: str) -> None:
        """With its files, not with its records. Raises Conflict while a sync is under way."""
        async with self._pool.transaction() as connection:
            await _require_idle(connection, workspace, id)
            await connection.execute(DELETE, workspace, id)

    async def require_idle(self, workspace: str, id: str) -> None:
        """Raises Conflict while a sync is under way."""
        async with self._pool.transaction() as connection:
            await _require_idle(connection, workspace, id)

    # Who may write

    async def claim(self, workspace: str, id: str, run: str) -> str:
        """For this run, or the run that has it: that one is then the answer."""
        async with self._pool.transaction() as connection:
            under_way = await _under_way(connection, workspace, id)
            if under_way is not None:
                return under_way
            await connection.execute(CLAIM, workspace, id, run)
        return run

    async def under_way(self, workspace: str, id: str) -> str | None:
        return await self._pool.fetchval(UNDER_WAY, workspace, id)

    # How far it is

    async def begin(
        self, workspace: str, id: str, run: str, kinds: Sequence[Kind], which: Literal["all", "new"]
    ) -> None:
        async with self._pool.transaction() as connection:
            if await connection.fetchval(LOCK, workspace, id) != run:
                raise _taken_over(id)
            await connection.execute(BEGIN, workspace, id, run, kinds, which == "all", OVERLAP)

    async def passes(self, workspace: str, id: str) -> list[Pass]:
        """In the order in which kinds are read."""
        rows = [_pass(row) for row in await self._pool.fetch(PASSES, workspace, id)]
        return sorted(rows, key=lambda each: KINDS.index(each.kind))

    async def current_pass(self, workspace: str, id: str, kind: Kind, run: str) -> Pass:
        return _of_run(await self._pool.fetchrow(PASS, workspace, id, kind), id, run)

    async def write_page(
        self, workspace: str, id: str, at: Pass, page: Page, then: Literal["sweep", "end"]
    ) -> Pass:
        """Its records and the way on from it, together or not at all.

        A page that somebody else has written meanwhile is left; where it goes on is the answer.
        """
        async with self._pool.transaction() as connection:
            row = await connection.fetchrow(LOCK_PASS, workspace, id, at.kind)
            now = _of_run(row, id, at.run_id)
            if now.page != at.page:
                return now
            written = await write_within(connection, workspace, id, page.records, sync=at.run_id)
            phase = "reading"
            if page.next is None:
                # A record that was lost may still be there: nothing is taken for gone then.
                is_sure = then == "sweep" and not now.lost and not page.faults
                phase = "sweeping" if is_sure else "done"
            newest = max((record.modified_at for record in page.records), default=None)
            turned = await _turn(
                connection, workspace, id, now, page.next, phase, newest,
                len(page.records), written, page.faults, page.remarks,
            )  # fmt: skip
        if page.next is None and turned.tally.written >= MANY and at.kind in COUNT:
            await self._pool.execute(COUNT[at.kind])
        return turned

    async def sweep(self, workspace: str, id: str, at: Pass) -> Pass:
        """Deletes some of what the pass has not seen."""
        async with self._pool.transaction() as connection:
            row = await connection.fetchrow(LOCK_PASS, workspace, id, at.kind)
            now = _of_run(row, id, at.run_id)
            if now.page != at.page:
                return now
            gone = await delete_unseen_within(connection, workspace, id, at.kind, at.run_id)
            phase = "sweeping" if gone == AT_ONCE else "done"
            return await _turn(
                connection, workspace, id, now, None, phase, None, 0, Written(deleted=gone), (), ()
            )


async def _turn(
    connection: Connection,
    workspace: str,
    id: str,
    now: Pass,
    cursor: str | None,
    phase: str,
    newest: datetime | None,
    read: int,
    written: Written,
    lost: Sequence[str],
    remarks: Sequence[str],
) -> Pass:
    faults = [*lost, *remarks]
    row = await connection.fetchrow(
        TURN,
        workspace,
        id,
        now.kind,
        cursor,
        phase,
        newest,
        read,
        written.written,
        written.deleted,
        written.unchanged,
        len(faults),
        faults[:MOST_FAULTS],
        MOST_FAULTS,
        len(lost),
    )
    return _of_run(row, id, now.run_id)


async def _under_way(connection: Connection, workspace: str, id: str) -> str | None:
    if not await connection.fetchrow(LOCK, workspace, id):
        raise _no_source(id)
    return await connection.fetchval(UNDER_WAY, workspace, id)


async def _require_idle(connection: Connection, workspace: str, id: str) -> None:
    run = await _under_way(connection, workspace, id)
    if run is not None:
        raise Conflict(f"a sync of {id} is under way: cancel run {run}, or wait", run_id=run)


def _of_run(row: asyncpg.Record | None, id: str, run: str) -> Pass:
    if row is None or row["run_id"] != run:
        raise _taken_over(id)
    return _pass(row)


def _taken_over(id: str) -> SyncTakenOver:
    return SyncTakenOver(f"another sync of {id} began meanwhile, or the source was removed")


def _no_source(id: str) -> NotFound:
    return NotFound(f"there is no source {id[:80]!r}")


def _dumped(config: SourceConfig) -> dict[str, Any]:
    return CONFIG.dump_python(config, mode="json", exclude_defaults=False)


def _source(row: asyncpg.Record) -> SourceRow:
    return SourceRow(
        id=row["id"],
        config=CONFIG.validate_python(row["config"]),
        sync_run=row["sync_run"],
        sync_status=row["sync_status"],
        claimed_at=row["claimed_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _pass(row: asyncpg.Record) -> Pass:
    return Pass(
        kind=row["kind"],
        known_to=row["known_to"],
        run_id=row["run_id"],
        since=row["since"],
        phase=row["phase"],
        page=row["page"],
        cursor=row["cursor"],
        tally=Tally(
            read=row["read"],
            written=row["written"],
            deleted=row["deleted"],
            unchanged=row["unchanged"],
            faults=row["faults"],
        ),
        lost=row["lost"],
        first_faults=tuple(row["first_faults"]),
    )
