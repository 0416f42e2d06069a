"""Events as the gateway tells them, without a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.tool import Actor
from services.awaited import AwaitedEvents
from services.launch import hash_of
from services.wakes import Wakes
from store.event_waits import EventWaits
from store.events import Events, NewEvent
from store.sealing import Keyring
from store.waits import Waits
from tests.kernel import KEYS, Kernel, eventually


@dataclass(frozen=True)
class Telling:
    kernel: Kernel
    events: Events
    wakes: Wakes

    @classmethod
    def of(cls, kernel: Kernel) -> Telling:
        keyring = Keyring(KEYS)
        events = Events(kernel.pool, keyring)
        awaited = AwaitedEvents(events, EventWaits(kernel.pool, keyring))
        return cls(kernel, events, Wakes(kernel.client, Waits(kernel.pool), awaited))

    async def keep(self, name: str, workspace: str | None = None, **data: Any) -> str:
        """As a teller does that dies before it wakes anybody; gives the event's id."""
        stored = await self.events.put(
            NewEvent(
                workspace=workspace or self.kernel.workspace.id,
                name=name,
                data=data,
                actor=Actor(kind="key", id="teller"),
                id_hash=None,
                request_hash=hash_of([name, data]),
            )
        )
        return stored.event.id

    async def tell(self, name: str, **data: Any) -> str:
        event_id = await self.keep(name, **data)
        await self.wakes.tell()
        return event_id

    async def noted(self, count: int = 1) -> None:
        """Once so many steps wait."""
        await eventually(
            lambda: self.kernel.pool.fetchval(
                "SELECT count(*) FROM waits WHERE event IS NOT NULL AND taken IS NULL"
            ),
            lambda waiting: waiting == count,
        )
