"""Steps that wait for events: what these have to meet, how far a step looked, which it took."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import asyncpg

from core.model import Frozen
from store.events import ONE_AT_A_TIME
from store.sealing import CannotOpen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg import Record

    from core.effects import EventRequest
    from store.pool import Pool
    from store.sealing import Keyring
    from store.waits import Stirred

# It waits for what comes after the first run of its lineage was asked for. Whoever notes a wait
# looks afterwards, so nothing is owed to it from before.
NOTE = """
    INSERT INTO waits AS known (
        workspace_id, run_id, step, kind, until, event, condition, seen
    )
    SELECT $1, $2, $3, 'event', $4, $5, $6, coalesce((
        SELECT seq FROM events
        WHERE workspace_id = $1 AND at < coalesce(
            (
                SELECT min(entered_at) FROM runs
                WHERE workspace_id = $1 AND run_id IN ($2, $7)
            ),
            $8
        )
        ORDER BY seq DESC
        LIMIT 1
    ), 0)
    ON CONFLICT (workspace_id, run_id, step) DO UPDATE SET woken = known.stirred
    RETURNING *
"""
FIND = """
    SELECT * FROM waits
    WHERE workspace_id = $1 AND run_id = $2 AND step = $3 AND kind = 'event' AND taken IS NULL
"""
FIND_ALL = """
    SELECT waits.*
    FROM unnest($1::text[], $2::text[], $3::text[]) AS asked (workspace_id, run_id, step)
    JOIN waits USING (workspace_id, run_id, step)
    WHERE kind = 'event' AND taken IS NULL
"""
PASS_BY = """
    UPDATE waits SET seen = greatest(seen, $4)
    WHERE workspace_id = $1 AND run_id = $2 AND step = $3
"""
TAKE = """
    UPDATE waits SET taken = $4
    WHERE workspace_id = $1 AND run_id = $2 AND step = $3 AND coalesce(taken, $4) = $4
    RETURNING step
"""
GIVE_UP = """
    DELETE FROM waits
    WHERE workspace_id = $1 AND run_id = $2 AND step = $3 AND taken IS NULL
"""


class EventWait(Frozen):
    """`known` is what `matching` reads besides the event."""

    workspace: str
    run: str
    step: str
    event: str
    matching: str | None
    known: dict[str, Any]
    until: datetime | None
    seen: int
    taken: int | None


class EventWaits:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def note(self, request: EventRequest) -> EventWait:
        """From now on whoever tells of such an event stirs the run; what was told before, the next
        look sees."""
        context = request.context
        place = _place(context.workspace, context.run, request.wait)
        condition = self._keyring.seal_json([request.matching, request.known], place)
        async with self._pool.transaction() as connection:
            await connection.execute(ONE_AT_A_TIME, context.workspace)
            row = await connection.fetchrow(
                NOTE,
                context.workspace,
                context.run,
                request.wait,
                request.until,
                request.event,
                condition,
                context.lineage,
                request.since,
            )
        assert row is not None
        return self._opened(row)

    async def find(self, workspace: str, run: str, step: str) -> EventWait | None:
        """One that goes on."""
        row = await self._pool.fetchrow(FIND, workspace, run, step)
        return None if row is None else self._opened(row)

    async def find_all(self, stirred: Sequence[Stirred]) -> dict[Stirred, EventWait | None]:
        """Those of them that go on; None is one that cannot be read."""
        places = {(one.workspace, one.run, one.step): one for one in stirred}
        columns = [list(column) for column in zip(*places, strict=True)] or [[], [], []]
        found: dict[Stirred, EventWait | None] = {}
        for row in await self._pool.fetch(FIND_ALL, *columns):
            one = places[row["workspace_id"], row["run_id"], row["step"]]
            try:
                found[one] = self._opened(row)
            except CannotOpen:
                found[one] = None
        return found

    async def pass_by(self, wait: EventWait, seq: int) -> EventWait:
        """No event up to this one ends it."""
        await self._pool.execute(PASS_BY, wait.workspace, wait.run, wait.step, seq)
        return wait.model_copy(update={"seen": seq})

    async def take(self, wait: EventWait, seq: int) -> bool:
        """False where another step of the run has it, or this wait is over."""
        try:
            taker = await self._pool.fetchval(TAKE, wait.workspace, wait.run, wait.step, seq)
        except asyncpg.UniqueViolationError:
            return False
        return taker is not None

    async def give_up(self, wait: EventWait) -> None:
        await self._pool.execute(GIVE_UP, wait.workspace, wait.run, wait.step)

    def _opened(self, row: Record) -> EventWait:
        place = _place(row["workspace_id"], row["run_id"], row["step"])
        matching, known = self._keyring.open_json(row["condition"], place)
        return EventWait(
            workspace=row["workspace_id"],
            run=row["run_id"],
            step=row["step"],
            event=row["event"],
            matching=matching,
            known=known,
            until=row["until"],
            seen=row["seen"],
            taken=row["taken"],
        )


def _place(workspace: str, run: str, step: str) -> str:
    return f"{workspace}/runs/{run}/waits/{step}"
