from typing import Protocol

from temporalio import activity

from activities.failures import reports_failures
from core.effects import RECORD, Recorded, RecordRequest


class RunRecords(Protocol):
    async def record(self, request: RecordRequest) -> None: ...


class RecordActivities:
    def __init__(self, runs: RunRecords) -> None:
        self._runs = runs

    @activity.defn(name=RECORD)
    @reports_failures
    async def record(self, request: RecordRequest) -> Recorded:
        """What it returns stays in the history, where the log finds it."""
        await self._runs.record(request)
        return Recorded(
            status=request.status,
            waiting_for=request.waiting_for,
            error=request.error,
            settled=request.settled,
        )
