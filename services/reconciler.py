"""Mends what a run could not say itself: that it was terminated, that it never began; keeps logs.

One gateway of many does it, whoever holds the lead.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio.service import RPCError

from core.errors import Conflict, PerdureError, RunNotEnded
from core.run import ENDED, Failure, Run, RunStatus
from services.live import CLOSED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from services.history import Histories
    from services.live import Live
    from store.leader import Leadership
    from store.runs import Runs

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=5)
# Longer than the start of a workflow may take, so that no run is called lost that is on its way.
BEGINS_WITHIN = timedelta(seconds=60)
# Younger ones are looked at by whoever started them.
SETTLES_AFTER = timedelta(seconds=3)
ROWS = 100  # how much one round looks at
ENDINGS = 200
LOGS = 50
# Lists in Temporal lag behind what happened, by a second at most where it was measured.
OVERLAP = timedelta(seconds=30)
NEVER_STARTED = Failure(code="never_started", message="the run never began: start it again")
GONE = Failure(code="history_gone", message="Temporal no longer knows how this run went")


class Reconciler:
    """`chores` are what else one gateway does for all of them, round by round."""

    def __init__(
        self,
        leadership: Leadership,
        runs: Runs,
        live: Live,
        histories: Histories,
        chores: Sequence[Callable[[], Awaitable[None]]] = (),
        logs_after: timedelta = timedelta(0),
    ) -> None:
        self._logs_after = logs_after
        self._leadership = leadership
        self._runs = runs
        self._live = live
        self._histories = histories
        self._chores = chores
        self._last: Run | None = None
        self._looked = datetime.now(UTC)
        self._unreadable: set[str] = set()
        self._differing: dict[str, RunStatus] = {}
        self._waits = False

    async def keep_going(self) -> None:
        try:
            while True:
                await self._try_a_round()
                await asyncio.sleep(EVERY.total_seconds())
        finally:
            # The pool would wait for the connection that holds the lead.
            await self._leadership.resign()

    async def _try_a_round(self) -> None:
        try:
            if await self._leadership.held():
                await self.round()
            self._waits = False
        except (PerdureError, RPCError) as error:
            log.log(logging.DEBUG if self._waits else logging.WARNING, "waiting: %s", error)
            self._waits = True
        except Exception:
            log.exception("a round of the reconciler failed")

    async def round(self) -> None:
        await self._look_at_ended()
        await self._look_at_open()
        await self.store_logs()
        for chore in self._chores:
            await chore()

    async def store_logs(self) -> None:
        """A log that cannot be read now is left for after a restart, and holds up no other."""
        # Reading histories costs Temporal much; there are weeks for it, and now is when runs run.
        before = datetime.now(UTC) - self._logs_after
        for run in await self._runs.unarchived(LOGS + len(self._unreadable), before):
            if run.run_id in self._unreadable:
                continue
            described = await self._live.describe(run.run_id)
            # The row ends a moment before the workflow does, whose last event belongs to the log.
            if described is not None and described.status not in CLOSED:
                continue
            try:
                events = await self._histories.log(run) if described or run.started_at else []
            except RunNotEnded:
                continue
            except (Conflict, RPCError, ValueError) as error:
                self._unreadable.add(run.run_id)
                log.warning("the log of %s cannot be read: %s", run.run_id, error)
                continue
            told = [event.model_dump(mode="json") for event in events]
            await self._runs.archive(run.run_id, run.workspace_id, told)

    async def _look_at_ended(self) -> None:
        """What was terminated or timed out lately, so that a long list of open runs hides none."""
        now = datetime.now(UTC)
        for run_id in await self._live.cut_off_since(self._looked - OVERLAP, ENDINGS):
            run = await self._runs.find(run_id, None)
            if run is not None and run.status not in ENDED:
                await self._settle(run)
        self._looked = now

    async def _look_at_open(self) -> None:
        """Goes on where the last round ended, for some runs stay open for weeks."""
        older = datetime.now(UTC) - SETTLES_AFTER
        rows = await self._runs.open_runs(older, ROWS, self._last)
        self._last = rows[-1] if len(rows) == ROWS else None
        for run in rows:
            await self._settle(run)

    async def _settle(self, run: Run) -> None:
        described = await self._live.describe(run.run_id)
        if described is None:
            await self._settle_unknown(run)
            return
        seen = await self._live.seen(run, described)
        if seen.status in ENDED:
            await self._runs.settle(
                run.run_id, seen.status, seen.completed_at, seen.error, seen.output
            )
            log.info("%s ended without saying so: %s", run.run_id, seen.status)
            return
        # A row may be a moment behind; one that stays behind has lost what it was told.
        if seen.status != run.status and self._differing.pop(run.run_id, None) == seen.status:
            await self._runs.settle(run.run_id, seen.status, None)
        elif seen.status != run.status:
            self._differing[run.run_id] = seen.status
        else:
            self._differing.pop(run.run_id, None)

    async def _settle_unknown(self, run: Run) -> None:
        if run.created_at > datetime.now(UTC) - BEGINS_WITHIN:
            return
        # The event is still there, and whoever finishes its dispatch starts the run.
        if run.status == "queued" and run.trigger == "event":
            return
        why = NEVER_STARTED if run.status == "queued" else GONE
        await self._runs.settle(run.run_id, "failed", datetime.now(UTC), why)
        log.info("%s settled: %s", run.run_id, why.code)
