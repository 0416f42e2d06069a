"""What happened in each workspace, once for each id, and what it starts."""

from __future__ import annotations

import base64
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.errors import IdempotencyKeyReused, NotFound
from core.event import Event, Published, Skipped, Triggered
from core.model import Frozen
from core.tool import Actor
from store.page import Page, decode_id, encode_cursor
from store.waits import STIR_EVENT
from store.workspaces import owned_by

if TYPE_CHECKING:
    from datetime import timedelta

    from asyncpg import Record

    from store.pool import Pool
    from store.sealing import Keyring

# Whoever notes a wait holds it too: either it sees the event, or the event's teller sees the wait.
# Held until what was written can be seen, it also keeps `seq` in the order of sight.
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('events/' || $1, 0))"
FIND_KEYED = "SELECT * FROM events WHERE workspace_id = $1 AND id_hash = $2"
PUT = """
    INSERT INTO events (
        workspace_id, event_id, name, data, id_hash, request_hash, actor_kind, actor_id, at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp())
    RETURNING *
"""
PLAN = """
    UPDATE events SET plan = coalesce(plan, $3) WHERE workspace_id = $1 AND seq = $2
    RETURNING plan
"""
DISPATCHED = """
    UPDATE events SET dispatched_at = now()
    WHERE workspace_id = $1 AND seq = $2 AND dispatched_at IS NULL
"""
UNDISPATCHED = """
    SELECT * FROM events WHERE dispatched_at IS NULL AND at < now() - $1::interval
    ORDER BY at
    LIMIT $2
"""
FIND = "SELECT * FROM events WHERE workspace_id = $1 AND event_id = $2"
PAGE = """
    SELECT * FROM events
    WHERE workspace_id = $1
        AND ($2::text IS NULL OR name = $2)
        AND ($3::bytea IS NULL OR id_hash = $3)
        AND ($4::text IS NULL OR seq < (
            SELECT seq FROM events WHERE workspace_id = $1 AND event_id = $4
        ))
    ORDER BY seq DESC
    LIMIT $5
"""
AT = "SELECT * FROM events WHERE workspace_id = $1 AND seq = $2"
FOLLOWING = """
    SELECT * FROM events WHERE workspace_id = $1 AND name = $2 AND seq > $3
    ORDER BY seq
    LIMIT $4
"""
RANDOM_BYTES = 10


class NewEvent(Frozen):
    """`id_hash` is of the teller's own id; the same one is the same event, for ever."""

    workspace: str
    name: str
    data: dict[str, Any]
    actor: Actor
    id_hash: bytes | None
    request_hash: bytes


class Start(Triggered):
    version: str


class Plan(Frozen):
    """`depth` counts the runs that led to each other, so that a circle of them comes to an end."""

    depth: int = 0
    starts: tuple[Start, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    def published(self, event_id: str) -> Published:
        return Published(
            event_id=event_id,
            triggered=tuple(
                Triggered(skill_id=start.skill_id, run_id=start.run_id) for start in self.starts
            ),
            skipped=self.skipped,
        )


class StoredEvent(Frozen):
    workspace: str
    seq: int
    event: Event
    actor: Actor
    plan: Plan | None
    dispatched_at: datetime | None

    @property
    def published(self) -> Published:
        return (self.plan or Plan()).published(self.event.id)


class Events:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def put(self, new: NewEvent) -> StoredEvent:
        """The same id gives what was first; with another body it raises. Waiting runs are stirred
        in the same transaction."""
        event_id = _fresh_id()
        data = self._keyring.seal_json(new.data, _place(new.workspace, event_id, "data"))
        with owned_by(new.workspace):
            async with self._pool.transaction() as connection:
                await connection.execute(ONE_AT_A_TIME, new.workspace)
                row = new.id_hash and await connection.fetchrow(
                    FIND_KEYED, new.workspace, new.id_hash
                )
                if not row:
                    row = await connection.fetchrow(
                        PUT,
                        new.workspace,
                        event_id,
                        new.name,
                        data,
                        new.id_hash,
                        new.request_hash,
                        new.actor.kind,
                        new.actor.id,
                    )
                    await connection.execute(STIR_EVENT, new.workspace, new.name)
        assert row is not None
        if row["request_hash"] != new.request_hash:
            raise IdempotencyKeyReused(
                "this event id was used before, with another event", event_id=row["event_id"]
            )
        return self._opened(row)

    async def plan(self, event: StoredEvent, plan: Plan) -> Plan:
        """The first one counts, whoever made it."""
        place = _place(event.workspace, event.event.id, "plan")
        sealed = self._keyring.seal_json(plan.model_dump(mode="json"), place)
        kept = await self._pool.fetchval(PLAN, event.workspace, event.seq, sealed)
        return Plan.model_validate(self._keyring.open_json(kept, place))

    async def dispatched(self, event: StoredEvent) -> None:
        await self._pool.execute(DISPATCHED, event.workspace, event.seq)

    async def undispatched(self, for_longer_than: timedelta, limit: int) -> list[StoredEvent]:
        """Of all workspaces, the oldest first."""
        rows = await self._pool.fetch(UNDISPATCHED, for_longer_than, limit)
        return [self._opened(row) for row in rows]

    async def find(self, workspace: str, event_id: str) -> StoredEvent | None:
        row = await self._pool.fetchrow(FIND, workspace, event_id)
        return None if row is None else self._opened(row)

    async def at(self, workspace: str, seq: int) -> Event:
        row = await self._pool.fetchrow(AT, workspace, seq)
        if row is None:
            raise NotFound(f"there is no event {seq}")
        return self._event(row)

    async def following(
        self, workspace: str, name: str, seq: int, limit: int
    ) -> list[tuple[int, Event]]:
        """Events of this name after that one, in their order."""
        rows = await self._pool.fetch(FOLLOWING, workspace, name, seq, limit)
        return [(row["seq"], self._event(row)) for row in rows]

    async def list_page(
        self,
        workspace: str,
        name: str | None,
        id_hash: bytes | None,
        limit: int,
        cursor: str | None,
    ) -> Page[StoredEvent]:
        """Newest first."""
        after = decode_id(cursor) if cursor else None
        rows = await self._pool.fetch_filtered(PAGE, workspace, name, id_hash, after, limit + 1)
        events = [self._opened(row) for row in rows[:limit]]
        return Page(events, encode_cursor(events[-1].event.id) if len(rows) > limit else None)

    def _opened(self, row: Record) -> StoredEvent:
        place = _place(row["workspace_id"], row["event_id"], "plan")
        plan = row["plan"] and Plan.model_validate(self._keyring.open_json(row["plan"], place))
        return StoredEvent(
            workspace=row["workspace_id"],
            seq=row["seq"],
            event=self._event(row),
            actor=Actor(kind=row["actor_kind"], id=row["actor_id"]),
            plan=plan,
            dispatched_at=row["dispatched_at"],
        )

    def _event(self, row: Record) -> Event:
        place = _place(row["workspace_id"], row["event_id"], "data")
        data = self._keyring.open_json(row["data"], place)
        return Event(id=row["event_id"], name=row["name"], data=data, at=row["at"])


def _fresh_id() -> str:
    return f"event-{base64.b32encode(os.urandom(RANDOM_BYTES)).decode().lower()}"


def _place(workspace: str, event_id: str, what: str) -> str:
    return f"{workspace}/events/{event_id}/{what}"
