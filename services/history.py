"""What a run did: its log, live and afterwards, its steps, its end, and what a retry may keep."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from temporalio.client import WorkflowExecutionStatus

from core import stored_log
from core.cursor import Cursor
from core.errors import HistoryGone, NotFound, RunNotEnded, Unavailable
from core.event import ENDINGS, LogEvent, Outcome
from core.fold import Notes
from core.line import BATCH_NAME, TIMED_OUT, failure_of_run
from core.log import Entry, Log, wants_notes
from core.run import ENDED
from core.steps import Steps
from services import executions, given

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from temporalio.client import Client

    from core.effects import Given, GivenRequest
    from core.history import Note
    from core.run import Run, RunStatus

LOOK_EVERY = timedelta(milliseconds=500)
RECONNECT_AFTER = timedelta(seconds=1)
# Between a run's row and its workflow.
STARTS_WITHIN = timedelta(seconds=10)
LOOK_FOR_START_EVERY = timedelta(milliseconds=200)
LONGEST_NAME = 500  # Temporal refuses ids of more than 1,000 bytes


class Attempts(Protocol):
    async def list_for(self, run_id: str) -> Sequence[Note]: ...


class Archive(Protocol):
    async def archived_log(self, run_id: str, workspace: str) -> list[dict[str, Any]] | None: ...


class Histories:
    def __init__(self, client: Client, attempts: Attempts, runs: Archive) -> None:
        self._client = client
        self._attempts = attempts
        self._runs = runs

    async def follow(
        self, run_id: str, after: str | None = None, step: str | None = None
    ) -> AsyncGenerator[Entry]:
        """Live until the end, each event with the cursor that goes on after it.

        Raises NotFound and Unavailable before the first event; later it waits until Temporal and
        Postgres are back.
        """
        cursor = after
        if cursor is not None:
            Cursor.parse(cursor)
        await self._started(_workflow(run_id, step))
        while True:
            try:
                async with aclosing(self._live(run_id, cursor, step)) as entries:
                    async for event, cursor in entries:
                        yield event, cursor
                return
            except Unavailable:
                await asyncio.sleep(RECONNECT_AFTER.total_seconds())

    async def stream(
        self, run: Run, after: str | None = None, step: str | None = None
    ) -> AsyncGenerator[Entry]:
        """Live until the end, or what is kept of a run that is over.

        The row of a run says that it ended a moment before its last event is there.
        """
        kept = run.status in ENDED and await self._closed(run.run_id)
        source = self.entries(run, after, step) if kept else self.follow(run.run_id, after, step)
        async with aclosing(source) as entries:
            async for entry in entries:
                yield entry

    async def page(
        self, run: Run, after: str | None, limit: int, step: str | None = None
    ) -> tuple[list[LogEvent], str | None]:
        """`step` names a batch, such as `signals[500..999]`, whose own log is read."""
        found: list[LogEvent] = []
        last: str | None = None
        async with aclosing(self.entries(run, after, step)) as entries:
            async for event, cursor in entries:
                if len(found) == limit:
                    return found, last
                found.append(event)
                last = cursor
        return found, None

    async def log(self, run: Run) -> list[LogEvent]:
        """The whole, once it is whole: the row of a run may say that it ended a moment earlier."""
        async with aclosing(self.entries(run)) as entries:
            events = [event async for event, _ in entries]
        if not events or events[-1].kind not in ENDINGS:
            raise RunNotEnded(f"run {run.run_id} has not ended yet")
        return events

    async def steps(self, run: Run) -> Steps:
        steps = Steps()
        async with aclosing(self.entries(run)) as entries:
            async for event, _ in entries:
                steps.hear(event)
        return steps

    async def outcome(self, run_id: str) -> Outcome | None:
        """None while the run is open; raises NotFound where Temporal has none of this id."""
        described = await executions.describe(self._client, run_id)
        if described.status in (None, WorkflowExecutionStatus.RUNNING):
            return None
        closed = await executions.closing(self._client, run_id)
        if closed is None:
            return None
        if closed.how == "completed":
            return Outcome(status="succeeded", output=closed.output.load(), closed_at=closed.at)
        if closed.how == "cancelled":
            return Outcome(status="cancelled", closed_at=closed.at)
        error = failure_of_run(closed)
        status: RunStatus = "timed_out" if error.code == TIMED_OUT else "failed"
        return Outcome(status=status, error=error, closed_at=closed.at)

    async def given(self, request: GivenRequest) -> Given:
        return await given.read(self._client, request)

    async def entries(
        self, run: Run, after: str | None = None, step: str | None = None
    ) -> AsyncGenerator[Entry]:
        """What there is now, from the archive or from the history."""
        start = Cursor.parse(after) if after else None
        stored = await self._stored(run) if step is None else None
        if stored is not None:
            for entry in stored_log.entries(map(LogEvent.model_validate, stored), start):
                yield entry
            return
        try:
            async with aclosing(self._now(run.run_id, start, step)) as entries:
                async for entry in entries:
                    yield entry
        except NotFound:
            if step is not None:
                raise NotFound(f"run {run.run_id} has no batch {step[:LONGEST_NAME]}") from None
            if run.started_at is not None:
                raise HistoryGone(f"the log of run {run.run_id} is no longer kept") from None

    async def _closed(self, run_id: str) -> bool:
        try:
            described = await executions.describe(self._client, run_id)
        except NotFound:
            return True
        return described.status is not WorkflowExecutionStatus.RUNNING

    async def _stored(self, run: Run) -> list[dict[str, Any]] | None:
        if run.status not in ENDED:
            return None
        return await self._runs.archived_log(run.run_id, run.workspace_id)

    async def _now(
        self, run_id: str, after: Cursor | None, step: str | None
    ) -> AsyncGenerator[Entry]:
        log = Log(after)
        notes: Notes | None = None
        execution = ""
        async with aclosing(self._pages(run_id, step, "now")) as pages:
            async for page in pages:
                execution = page.execution
                if notes is None and wants_notes(page.events):
                    notes = await self._notes(run_id)
                for entry in log.read(page.part, page.events, notes or {}):
                    yield entry
        for entry in await self._pending(log, run_id, step, execution):
            yield entry

    async def _live(
        self, run_id: str, after: str | None, step: str | None
    ) -> AsyncGenerator[Entry]:
        """History as it comes; retries, which it does not show yet, by looking now and then."""
        log = Log(Cursor.parse(after) if after else None)
        notes: Notes = {}
        pages = self._pages(run_id, step, "closed")
        fetching = asyncio.create_task(_next(pages))
        clock = asyncio.get_running_loop()
        look_at, execution = clock.time() + LOOK_EVERY.total_seconds(), ""
        try:
            while True:
                wait = max(0, look_at - clock.time()) if log.attempting else None
                await asyncio.wait({fetching}, timeout=wait)
                if fetching.done():
                    page = fetching.result()
                    if page is None:
                        return
                    execution = page.execution
                    if wants_notes(page.events):
                        notes = await self._notes(run_id)
                    for entry in log.read(page.part, page.events, notes):
                        yield entry
                    fetching = asyncio.create_task(_next(pages))
                if log.attempting and clock.time() >= look_at:
                    for entry in await self._pending(log, run_id, step, execution):
                        yield entry
                    look_at = clock.time() + LOOK_EVERY.total_seconds()
        finally:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)
            await pages.aclose()

    async def _pending(
        self, log: Log, run_id: str, step: str | None, execution: str
    ) -> list[Entry]:
        if not log.attempting:
            return []
        described = await executions.describe(self._client, _workflow(run_id, step))
        pending = described.raw_description.pending_activities
        attempts = {each.activity_id: each.attempt for each in pending if each.attempt > 1}
        # Another execution may be at its own attempts of activities with the same names.
        if not attempts or described.run_id != execution:
            return []
        return list(log.pending(attempts, await self._notes(run_id)))

    def _pages(
        self, run_id: str, step: str | None, until: executions.Until
    ) -> AsyncGenerator[executions.Page]:
        return executions.read(self._client, _workflow(run_id, step), until)

    async def _notes(self, run_id: str) -> Notes:
        notes: dict[str, dict[int, Note]] = {}
        for note in await self._attempts.list_for(run_id):
            notes.setdefault(note.path, {})[note.attempt] = note
        return notes

    async def _started(self, workflow: str) -> None:
        clock = asyncio.get_running_loop()
        patience = clock.time() + STARTS_WITHIN.total_seconds()
        while True:
            try:
                await executions.describe(self._client, workflow)
            except NotFound:
                if clock.time() > patience:
                    raise
                await asyncio.sleep(LOOK_FOR_START_EVERY.total_seconds())
            else:
                return


async def _next(pages: AsyncIterator[executions.Page]) -> executions.Page | None:
    return await anext(pages, None)


def _workflow(run_id: str, step: str | None) -> str:
    if step is None:
        return run_id
    if len(step) > LONGEST_NAME or not BATCH_NAME.fullmatch(step):
        raise NotFound(f"{step[:LONGEST_NAME]} is no batch, such as signals[500..999]")
    return f"{run_id}/{step}"
