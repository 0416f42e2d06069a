"""The end of a run: its row and Temporal say the same, whatever comes in between."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace

from temporalio.client import WorkflowFailureError, WorkflowHistory

from activities.record import RunRecords
from core.effects import RecordRequest
from core.errors import Unavailable
from tests.kernel import Kernel, eventually
from tests.workflow.flows import flow, watched


@dataclass
class Hanging:
    """A store that holds the end of a run back until it is let go, and records it then."""

    runs: RunRecords
    held: asyncio.Event = field(default_factory=asyncio.Event)
    free: asyncio.Event = field(default_factory=asyncio.Event)

    async def record(self, request: RecordRequest) -> None:
        if request.status not in ("running", "waiting"):
            self.held.set()
            if not self.free.is_set():
                await self.free.wait()
                raise Unavailable("not yet")
        await self.runs.record(request)


def told_to_cancel(history: WorkflowHistory) -> bool:
    asked = "workflow_execution_cancel_requested_event_attributes"
    return any(event.HasField(asked) for event in history.events)


async def test_cancel_that_comes_when_all_is_done_changes_nothing(kernel: Kernel) -> None:
    store = Hanging(kernel.runs)
    kernel = replace(kernel, parts=replace(kernel.parts, runs=store))
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", 1)))
        await store.held.wait()
        await handle.cancel()
        await eventually(handle.fetch_history, told_to_cancel)
        store.free.set()
        with suppress(WorkflowFailureError):
            await handle.result()
        described = await handle.describe()
        run = await eventually(lambda: kernel.row(handle), lambda run: run.completed_at is not None)
    assert described.status is not None
    assert (described.status.name, run.status) == ("COMPLETED", "succeeded")


async def test_cancel_that_comes_when_all_has_failed_changes_nothing(kernel: Kernel) -> None:
    store = Hanging(kernel.runs)
    kernel = replace(kernel, parts=replace(kernel.parts, runs=store))
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", fail="for_good")))
        await store.held.wait()
        await handle.cancel()
        await eventually(handle.fetch_history, told_to_cancel)
        store.free.set()
        with suppress(WorkflowFailureError):
            await handle.result()
        described = await handle.describe()
        run = await eventually(lambda: kernel.row(handle), lambda run: run.completed_at is not None)
    assert described.status is not None
    assert (described.status.name, run.status) == ("FAILED", "failed")
