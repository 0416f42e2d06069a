"""What happened: told to a workspace, and looked for there."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from perdure.connection import at
from perdure.model import Answer, Page
from perdure.wire import IDEMPOTENCY_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.connection import Connection
    from perdure.wire import Wire


class Triggered(Answer):
    skill_id: str
    run_id: str


class Skipped(Answer):
    """A skill that has a trigger for the event, and why it was not started."""

    skill_id: str
    code: str
    message: str


class Sent(Answer):
    event_id: str
    skills_triggered: tuple[Triggered, ...] = ()
    skipped: tuple[Skipped, ...] = ()


class Event(Answer):
    """`dispatched_at` is None while what it starts is being started."""

    id: str
    name: str
    at: datetime
    dispatched_at: datetime | None = None
    skills_triggered: tuple[Triggered, ...] = ()
    skipped: tuple[Skipped, ...] = ()


class Events:
    def __init__(self, wire: Wire, connection: Connection) -> None:
        self._wire = wire
        self._connection = connection

    async def send(
        self, name: str, data: Mapping[str, Any] | None = None, *, id: str | None = None
    ) -> Sent:
        """With an `id` of the sender's, it happens once however often it is sent."""
        body: dict[str, Any] = {
            "event": name,
            "workspace_id": self._connection.named_workspace,
            "data": dict(data or {}),
        }
        if id is not None:
            body["id"] = id
        # A key of its own makes it safe to ask again when the connection breaks.
        headers = {IDEMPOTENCY_KEY: str(uuid4())}
        answer = await self._wire.send("POST", at("webhooks", "events"), json=body, headers=headers)
        return Sent.read(answer)

    async def list_page(
        self,
        *,
        name: str | None = None,
        id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Event]:
        """Newest first; `id` finds the one that was sent with it."""
        query = {"name": name, "id": id, "limit": limit, "cursor": cursor}
        return Page[Event].read(await self._wire.get(self._connection.below("events"), query))
