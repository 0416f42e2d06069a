"""Tells runs that what they wait for may be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.service import RPCError

from core.effects import WAKE
from services import reach

if TYPE_CHECKING:
    from temporalio.client import Client

    from services.awaited import AwaitedEvents
    from store.waits import Stirred, Waits

AT_ONCE = 100
ROUNDS = 10


class Wakes:
    def __init__(self, client: Client, waits: Waits, awaited: AwaitedEvents) -> None:
        self._client = client
        self._waits = waits
        self._awaited = awaited

    async def tell(self) -> None:
        """All that were stirred, by whomever; who cannot be told now is told the next time."""
        for _ in range(ROUNDS):
            waiting = await self._waits.stirred(AT_ONCE)
            passed = await self._awaited.passed_by([one for one in waiting if one.kind == "event"])
            for stirred in waiting:
                if stirred in passed:
                    await self._waits.woken(stirred, passed[stirred])
                else:
                    await self._tell(stirred)
            if len(waiting) < AT_ONCE:
                break

    async def _tell(self, stirred: Stirred) -> None:
        if await self._told(stirred):
            await self._waits.woken(stirred)
        else:
            await self._waits.forget_run(stirred.workspace, stirred.run)

    async def _told(self, stirred: Stirred) -> bool:
        """False where nobody is there to be told."""
        try:
            async with reach.temporal():
                run = self._client.get_workflow_handle(stirred.run)
                if stirred.kind == "event":
                    await run.signal(WAKE, {"wait": stirred.step})
                else:
                    await run.signal(WAKE)
        except RPCError as error:
            if reach.is_not_found(error):
                return False
            raise
        return True
