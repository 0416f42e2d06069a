"""A run's first record comes with its first request and is written beside the work."""

import asyncio
import logging
from typing import Protocol

from core.effects import RecordRequest
from core.errors import PerdureError

log = logging.getLogger("perdure.records")


class RunRecords(Protocol):
    async def record(self, request: RecordRequest) -> None: ...


class Beginnings:
    def __init__(self, runs: RunRecords) -> None:
        self._runs = runs
        self._writing: set[asyncio.Task[None]] = set()

    def tell(self, began: RecordRequest | None) -> None:
        """Does not wait: the reconciler writes what is lost here."""
        if began is not None:
            writing = asyncio.create_task(self._write(began))
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)

    async def _write(self, began: RecordRequest) -> None:
        try:
            await self._runs.record(began)
        except PerdureError as away:
            log.warning("run %s began, which could not be recorded: %s", began.run, away.message)
