import logging
from typing import Protocol

from temporalio import activity

from activities.failures import reports_failures
from core.callback import CallbackRequest
from core.effects import RECORD, Recorded, RecordRequest
from core.errors import Unavailable
from core.run import ENDED

log = logging.getLogger("perdure.records")


class RunRecords(Protocol):
    async def record(self, request: RecordRequest) -> None: ...


class CallbackStarter(Protocol):
    async def start(self, request: CallbackRequest) -> None: ...


class RecordActivities:
    def __init__(self, runs: RunRecords, callbacks: CallbackStarter) -> None:
        self._runs = runs
        self._callbacks = callbacks

    @activity.defn(name=RECORD)
    @reports_failures
    async def record(self, request: RecordRequest) -> Recorded:
        """What it returns stays in the history, where the log finds it."""
        await self._runs.record(request)
        if request.origin.callback and request.status in ENDED:
            await self._begin_callback(request)
        return Recorded(
            status=request.status,
            waiting_for=request.waiting_for,
            error=request.error,
            settled=request.settled,
        )

    async def _begin_callback(self, request: RecordRequest) -> None:
        """The run's end is recorded, which is what counts; the reconciler begins what is missed."""
        try:
            await self._callbacks.start(
                CallbackRequest(run=request.run, workspace=request.origin.workspace.id)
            )
        except Unavailable as away:
            log.warning("the callback of %s begins later: %s", request.run, away.message)
