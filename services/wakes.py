"""Tells runs that what they wait for may be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.service import RPCError

from core.effects import WAKE
from services import reach

if TYPE_CHECKING:
    from temporalio.client import Client

    from store.waits import Stirred, Waits

AT_ONCE = 100


class Wakes:
    def __init__(self, client: Client, waits: Waits) -> None:
        self._client = client
        self._waits = waits

    async def tell(self) -> None:
        """All that were stirred, by whomever; who cannot be told now is told the next time."""
        for stirred in await self._waits.stirred(AT_ONCE):
            if await self._told(stirred):
                await self._waits.woken(stirred)
            else:
                await self._waits.forget_run(stirred.workspace, stirred.run)

    async def _told(self, stirred: Stirred) -> bool:
        """False where nobody is there to be told."""
        try:
            async with reach.temporal():
                await self._client.get_workflow_handle(stirred.run).signal(WAKE)
        except RPCError as error:
            if reach.is_not_found(error):
                return False
            raise
        return True
