"""Which event ends a wait: asked by the run that waits, and before anybody wakes it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.effects import EventReply
from core.errors import PerdureError, Unavailable
from core.triggers import first_met

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.effects import EventRequest
    from core.event import Event
    from store.event_waits import EventWait, EventWaits
    from store.events import Events
    from store.waits import Stirred

PAGE = 50  # events, of 256 KiB at most


Pages = dict[tuple[str, str, int], "list[tuple[int, Event]]"]


@dataclass(frozen=True)
class Met:
    """`seen` is the number of the event, or of the last one that does not end the wait."""

    seen: int
    event: Event | None = None


class AwaitedEvents:
    def __init__(self, events: Events, waits: EventWaits) -> None:
        self._events = events
        self._waits = waits

    async def look(self, request: EventRequest) -> EventReply:
        """The same wait, asked again, gets the event that it took before."""
        wait = await self._waits.note(request)
        if wait.taken is not None:
            return _reply(await self._events.at(wait.workspace, wait.taken))
        while event := (met := await self._met(wait, {})).event:
            if event.id not in request.taken and await self._taken(wait, met.seen):
                return _reply(event)
            wait = await self._waits.pass_by(wait, met.seen)
        await self._waits.pass_by(wait, met.seen)
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

    async def passed_by(self, stirred: Sequence[Stirred]) -> dict[Stirred, int]:
        """Those whose run need not look, and up to which event: waking it for each would fill its
        history."""
        waits = await self._waits.find_all(stirred)
        pages: Pages = {}
        passed: dict[Stirred, int] = {}
        for one in stirred:
            if one not in waits:
                passed[one] = 0  # it does not wait any more
                continue
            wait = waits[one]
            try:
                if wait is not None and not (met := await self._met(wait, pages)).event:
                    passed[one] = met.seen
            except Unavailable:
                raise
            except PerdureError:
                continue  # what is wrong, the run has to hear: it fails by looking itself
        return passed

    async def _met(self, wait: EventWait, pages: Pages) -> Met:
        """The first event that ends the wait, and the last one that does not."""
        seen = wait.seen
        while page := await self._page(wait, seen, pages):
            events = [event for _, event in page]
            # An expression may take a fifth of a second: not in the loop that others live in.
            met = await asyncio.to_thread(first_met, wait.matching, wait.known, events)
            if met is not None:
                return Met(page[met][0], events[met])
            seen = page[-1][0]
        return Met(seen)

    async def _page(self, wait: EventWait, seen: int, pages: Pages) -> list[tuple[int, Event]]:
        place = (wait.workspace, wait.event, seen)
        if place not in pages:
            pages.clear()  # most have seen the same, and a page may hold megabytes
            pages[place] = await self._events.following(*place, PAGE)
        until = wait.until
        return [(seq, event) for seq, event in pages[place] if until is None or event.at <= until]


def _reply(event: Event) -> EventReply:
    return EventReply(event=event.model_dump(mode="json"))
