from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from perdure.connection import at
from perdure.errors import NotUnderstood, Refused, Unreachable
from perdure.model import Page
from perdure.run import LogEvent, Run, RunSummary, Started
from perdure.wire import IDEMPOTENCY_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from perdure.connection import Connection
    from perdure.wire import Wire

Action = Literal["pause", "resume", "cancel", "retry", "approve", "reject"]

PATIENCE = timedelta(minutes=2)
FIRST_PAUSE = timedelta(seconds=0.1)
LONGEST_PAUSE = timedelta(seconds=5)
SETTLED_WITHIN = timedelta(seconds=5)
SETTLED_POLL = timedelta(seconds=0.1)
LOG_PAGE = 500


class Hearing:
    """What was heard of a log, over all connections."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.count = 0
        self._told: set[str] = set()
        self._lost_at: float | None = None

    def opened(self) -> None:
        self._lost_at = None

    def lost_for(self) -> timedelta:
        """Since the gateway was there last; asked only when it is not."""
        now = time.monotonic()
        self._lost_at = self._lost_at or now
        return timedelta(seconds=now - self._lost_at)

    def is_news(self, event: str | None, cursor: str) -> bool:
        self.cursor = cursor or self.cursor
        if event in self._told:
            return False
        # News that is not kept has no id, and is told as it comes.
        if event is not None:
            self._told.add(event)
        self.count += 1
        return True


class Runs:
    def __init__(self, wire: Wire, connection: Connection) -> None:
        self._wire = wire
        self._connection = connection

    async def get(self, run_id: str) -> Run:
        return Run.read(await self._wire.get(at("runs", run_id)))

    async def report(
        self, run_id: str, format: Literal["html", "markdown", "slack", "json"] = "markdown"
    ) -> str:
        """What the run gave, as people read it."""
        return await self._wire.text(at("runs", run_id, "report"), {"format": format})

    async def list_page(
        self,
        *,
        skill: str | None = None,
        status: str | None = None,
        trigger: str | None = None,
        q: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[RunSummary]:
        """Newest first."""
        filters = {"skill": skill, "status": status, "trigger": trigger, "q": q}
        page = {"since": since, "until": until, "limit": limit, "cursor": cursor}
        answer = await self._wire.get(self._connection.below("runs"), filters | page)
        return Page[RunSummary].read(answer)

    async def pause(self, run_id: str) -> Started:
        return await self._act(run_id, "pause")

    async def resume(self, run_id: str) -> Started:
        return await self._act(run_id, "resume")

    async def cancel(self, run_id: str) -> Started:
        return await self._act(run_id, "cancel")

    async def approve(
        self, run_id: str, *, step: str | None = None, comment: str | None = None
    ) -> Started:
        return await self._act(run_id, "approve", step=step, comment=comment)

    async def reject(
        self, run_id: str, *, step: str | None = None, comment: str | None = None
    ) -> Started:
        return await self._act(run_id, "reject", step=step, comment=comment)

    async def retry(
        self,
        run_id: str,
        *,
        version: Literal["same", "latest"] = "same",
        inputs: Mapping[str, Any] | None = None,
    ) -> Started:
        """A new run that keeps what the old one finished."""
        latest = "latest" if version == "latest" else None
        changed = dict(inputs) if inputs is not None else None
        # A key of its own makes it safe to ask again when the connection breaks.
        headers = {IDEMPOTENCY_KEY: str(uuid4())}
        return await self._act(run_id, "retry", headers, version=latest, inputs=changed)

    async def log(self, run_id: str, step: str | None = None) -> AsyncGenerator[LogEvent]:
        """The log as it is now, page by page; `step` names a batch, whose items have their own."""
        path, cursor = at("runs", run_id, "log"), None
        while True:
            params = {"limit": LOG_PAGE, "cursor": cursor, "step": step}
            answer = await self._wire.get(path, params)
            page = Page[LogEvent].read(answer)
            for event in page.items:
                yield event
            if not page.next_cursor or page.next_cursor == cursor:
                return
            cursor = page.next_cursor

    async def follow(
        self, run_id: str, step: str | None = None, patience: timedelta = PATIENCE
    ) -> AsyncGenerator[LogEvent]:
        """Each event once, from the first to the last, over lost connections.

        `patience` is how long the gateway may stay away.
        """
        hearing = Hearing()
        pause = FIRST_PAUSE
        while True:
            lost: Unreachable | Refused | None = None
            heard_before = hearing.count
            try:
                async for event in self._hear(run_id, step, hearing):
                    yield event
                    if event.is_ending or event.ends_step(step):
                        return
            except (Unreachable, Refused) as error:
                if not _may_pass(error):
                    raise
                lost = error
            news = hearing.count > heard_before
            if lost and hearing.lost_for() > patience:
                raise lost
            # Whoever was ended by force may have no last word.
            if not lost and not news and (await self.get(run_id)).has_ended:
                return
            pause = FIRST_PAUSE if news else min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(pause.total_seconds())

    async def wait(self, run_id: str) -> Run:
        """The run once it has ended, however long that takes."""
        async for _ in self.follow(run_id):
            pass
        return await self.settled(run_id)

    async def settled(self, run_id: str) -> Run:
        """The run whose log has ended; its row may be a moment behind."""
        deadline = time.monotonic() + SETTLED_WITHIN.total_seconds()
        while True:
            run = await self.get(run_id)
            if run.has_ended or time.monotonic() > deadline:
                return run
            await asyncio.sleep(SETTLED_POLL.total_seconds())

    async def _hear(
        self, run_id: str, step: str | None, hearing: Hearing
    ) -> AsyncGenerator[LogEvent]:
        path, params = at("runs", run_id, "log"), {"stream": "true", "step": step}
        messages = self._wire.listen(path, params, hearing.cursor, hearing.opened)
        async with aclosing(messages):
            async for message in messages:
                if not message.data:
                    continue
                event = LogEvent.read_json(message.data)
                if hearing.is_news(event.id, message.id):
                    yield event

    async def _act(
        self,
        run_id: str,
        action: Action,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Started:
        body = {"action": action} | {name: v for name, v in more.items() if v is not None}
        answer = await self._wire.send("POST", at("runs", run_id), json=body, headers=headers)
        return Started.read({"run_id": run_id, "status": ""} | (answer or {}))


def _may_pass(error: Unreachable | Refused) -> bool:
    if isinstance(error, Refused):
        return error.status in Refused.UNREADY
    return not isinstance(error, NotUnderstood)
