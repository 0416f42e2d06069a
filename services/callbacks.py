"""Telling somebody outside how a run ended: where to, and that it is begun."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from temporalio.common import Priority, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from core.callback import TRIED_FOR, CallbackRequest
from core.effects import CALLBACK, TASK_QUEUE
from core.errors import AddressRefused, FieldFault, Invalid
from services import reach

if TYPE_CHECKING:
    from temporalio.client import Client

    from core.run import Callback, Run
    from store.callbacks import Callbacks

LONGEST_URL = 2_048
AT_ONCE = 100
# When the last try is surely over, and what it came to told.
LOST_AFTER = TRIED_FOR + timedelta(days=2)


class Ways(Protocol):
    async def require(self, url: str) -> None:
        """Raises AddressRefused where nothing may be sent to it."""
        ...


class CallbackStarter:
    def __init__(self, client: Client, task_queue: str = TASK_QUEUE) -> None:
        self._client = client
        self._task_queue = task_queue

    async def start(self, request: CallbackRequest) -> None:
        """Harmless where it was started before; raises Unavailable."""
        try:
            async with reach.temporal():
                await self._client.start_workflow(
                    CALLBACK,
                    request,
                    id=f"{request.run}/callback",
                    task_queue=self._task_queue,
                    static_summary=f"tell how {request.run} ended",
                    priority=Priority(fairness_key=request.workspace),
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                )
        except WorkflowAlreadyStartedError:
            return


class CallbackService:
    def __init__(self, callbacks: Callbacks, starter: CallbackStarter, ways: Ways) -> None:
        self._callbacks = callbacks
        self._starter = starter
        self._ways = ways

    async def require(self, url: str | None) -> None:
        """Raises Invalid where nobody could be told there."""
        if url is None:
            return
        if len(url) > LONGEST_URL:
            raise _invalid(f"expected at most {LONGEST_URL:,} characters, got {len(url):,}")
        try:
            await self._ways.require(url)
        except AddressRefused as refused:
            raise _invalid(refused.message) from None

    async def of(self, run: Run) -> Callback | None:
        return await self._callbacks.find(run.run_id, run.workspace_id)

    async def url_of(self, run: Run) -> str | None:
        return await self._callbacks.url(run.run_id, run.workspace_id)

    async def look_after(self) -> None:
        """Begins what nobody else has: of runs that were terminated, or never began."""
        for request in await self._callbacks.missed(AT_ONCE):
            await self._starter.start(request)
            await self._callbacks.started(request)
        await self._callbacks.give_up_lost(LOST_AFTER)


def _invalid(message: str) -> Invalid:
    return Invalid(f"callback_url: {message}", [FieldFault(field="callback_url", message=message)])
