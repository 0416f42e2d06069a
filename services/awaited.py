"""Which event ends a wait: asked by the run that waits, and before anybody wakes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.effects import EventReply
from core.errors import ExpressionFailed, Unavailable
from core.triggers import first_met

if TYPE_CHECKING:
    from core.effects import EventRequest
    from core.event import Event
    from store.event_waits import EventWait, EventWaits
    from store.events import Events
    from store.waits import Stirred

PAGE = 50  # events, of 256 KiB at most


class AwaitedEvents:
    def __init__(self, events: Events, waits: EventWaits) -> None:
        self._events = events
        self._waits = waits

    async def look(self, request: EventRequest) -> EventReply:
        """The same wait, asked again, gets the event that it took before."""
        wait = await self._waits.note(request)
        if wait.taken is not None:
            return _reply(await self._events.at(wait.workspace, wait.taken))
        while (found := await self._next(wait)) is not None:
            seq, event = found
            if event.id not in request.taken and await self._taken(wait, seq):
                return _reply(event)
            wait = await self._waits.pass_by(wait, seq)
        if request.patience == "over":
            await self._waits.give_up(wait)
        return EventReply()

    async def _taken(self, wait: EventWait, seq: int) -> bool:
        """False where another step of the run has it."""
        if await self._waits.take(wait, seq):
            return True
        if await self._waits.find(wait.workspace, wait.run, wait.step) is None:
            raise Unavailable("this wait has just changed: look again")
        return False

    async def concerns(self, stirred: Stirred) -> bool:
        """Whether the run should look: waking it for each event would fill its history."""
        wait = await self._waits.find(stirred.workspace, stirred.run, stirred.step)
        if wait is None:
            return False
        try:
            return await self._next(wait) is not None
        except ExpressionFailed:
            return True  # the run has to hear of it, and will by looking itself

    async def _next(self, wait: EventWait) -> tuple[int, Event] | None:
        """The first event that ends the wait; those before it are passed by for good."""
        while page := await self._following(wait):
            events = [event for _, event in page]
            # An expression may take a fifth of a second: not in the loop that others live in.
            met = await asyncio.to_thread(first_met, wait.matching, wait.known, events)
            if met is not None:
                return page[met]
            wait = await self._waits.pass_by(wait, page[-1][0])
        return None

    async def _following(self, wait: EventWait) -> list[tuple[int, Event]]:
        page = await self._events.following(wait.workspace, wait.event, wait.seen, PAGE)
        until = wait.until
        return [(seq, event) for seq, event in page if until is None or event.at <= until]


def _reply(event: Event) -> EventReply:
    return EventReply(event=event.model_dump(mode="json"))
