"""Reads the histories of a run's executions, page by page."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from temporalio.client import WorkflowHistoryEventFilterType
from temporalio.service import RPCError

from core.errors import NotFound
from core.history import Closed
from services import reach
from services.translate import translate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from temporalio.client import Client, WorkflowExecutionDescription

    from core.history import Happened

Until = Literal["now", "closed"]
READ_WITHIN = timedelta(seconds=10)
# The server answers a long poll after 20 s at the latest, with news or without.
POLL_WITHIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Page:
    """`part` counts the executions of a run that continues as new; `execution` names this one."""

    part: int
    execution: str
    events: list[Happened]


async def describe(client: Client, workflow: str) -> WorkflowExecutionDescription:
    """Of the latest execution. Raises NotFound and Unavailable."""
    try:
        async with reach.temporal():
            return await client.get_workflow_handle(workflow).describe()
    except RPCError as error:
        raise _named(error, workflow) from None


async def read(client: Client, workflow: str, until: Until) -> AsyncGenerator[Page]:
    """From the first event on; `closed` waits for more. Raises NotFound and Unavailable."""
    described = await describe(client, workflow)
    following: str | None = described.raw_description.workflow_execution_info.first_run_id
    part = 0
    while following:
        execution, following = following, None
        async with aclosing(_pages(client, workflow, execution, until)) as pages:
            async for events in pages:
                yield Page(part, execution, events)
                last = events[-1] if events else None
                if isinstance(last, Closed):
                    following = last.following
        part += 1


async def closing(client: Client, workflow: str) -> Closed | None:
    """How the latest execution closed; None where it continued as new meanwhile."""
    handle = client.get_workflow_handle(workflow)
    close_event = WorkflowHistoryEventFilterType.CLOSE_EVENT
    try:
        async with reach.temporal(READ_WITHIN):
            found = [
                event async for event in handle.fetch_history_events(event_filter_type=close_event)
            ]
    except RPCError as error:
        raise _named(error, workflow) from None
    happened = await translate(found[-1:], client.data_converter)
    last = happened[-1] if happened else None
    return last if isinstance(last, Closed) and last.how != "continued" else None


async def _pages(
    client: Client, workflow: str, execution: str, until: Until
) -> AsyncGenerator[list[Happened]]:
    handle = client.get_workflow_handle(workflow, run_id=execution)
    pages = handle.fetch_history_events(wait_new_event=until == "closed")
    within = POLL_WITHIN if until == "closed" else READ_WITHIN
    while True:
        try:
            async with reach.temporal(within):
                await pages.fetch_next_page()
        except RPCError as error:
            raise _named(error, workflow) from None
        yield await translate(pages.current_page or (), client.data_converter)
        if pages.next_page_token is None:
            return


def _named(error: RPCError, workflow: str) -> Exception:
    return NotFound(f"Temporal has no run {workflow}") if reach.is_not_found(error) else error
