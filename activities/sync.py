"""Reads sources a few seconds at a time; what a page told is written with the way on from it."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Literal, NoReturn, Protocol, TypeVar

from temporalio import activity

from activities.attempts import AttemptNotes, fail
from activities.failures import failure_of
from core.connector import Connector, Page, SourceConfig
from core.crm import Kind
from core.errors import PerdureError, SourceUnreadable
from core.run import Workspace
from core.sync import (
    ANNOUNCE,
    PLAN,
    READ,
    SYNC_COMPLETED,
    AnnounceRequest,
    PlanRequest,
    Reading,
    ReadRequest,
    SyncPlan,
)
from core.tool import Actor, RunContext

log = logging.getLogger("perdure.sync")
SLICE = timedelta(seconds=4)
MOST_UNREADABLE = 10  # attempts
T = TypeVar("T")


class Source(Protocol):
    @property
    def config(self) -> SourceConfig: ...


class Pass(Protocol):
    """How far one came, as it is kept."""

    @property
    def phase(self) -> Literal["reading", "sweeping", "done"]: ...
    @property
    def cursor(self) -> str | None: ...
    @property
    def reading(self) -> Reading: ...


P = TypeVar("P", bound=Pass)


class Sources(Protocol[P]):
    async def get(self, workspace: str, id: str) -> Source: ...

    async def begin(
        self, workspace: str, id: str, run: str, kinds: Sequence[Kind], which: Literal["all", "new"]
    ) -> None: ...

    async def current_pass(self, workspace: str, id: str, kind: Kind, run: str) -> P: ...

    async def write_page(
        self, workspace: str, id: str, at: P, page: Page, then: Literal["sweep", "end"]
    ) -> P: ...

    async def sweep(self, workspace: str, id: str, at: P) -> P: ...


class Connectors(Protocol):
    def open(
        self, workspace: Workspace, source: str, config: SourceConfig
    ) -> AbstractAsyncContextManager[Connector]: ...


class Events(Protocol):
    async def publish(
        self, workspace: str, event: str, data: dict[str, Any], *, id: str | None, actor: Actor
    ) -> Any: ...


class SyncActivities:
    def __init__(
        self,
        sources: Sources[Any],
        connectors: Connectors,
        events: Events,
        attempts: AttemptNotes,
        slice: timedelta = SLICE,
    ) -> None:
        self._sources = sources
        self._connectors = connectors
        self._events = events
        self._attempts = attempts
        self._slice = slice.total_seconds()

    @activity.defn(name=PLAN)
    async def plan(self, request: PlanRequest) -> SyncPlan:
        return await self._told(request.context, self._plan(request))

    @activity.defn(name=READ)
    async def read(self, request: ReadRequest) -> Reading:
        return await self._told(request.context, self._read(request))

    @activity.defn(name=ANNOUNCE)
    async def announce(self, request: AnnounceRequest) -> None:
        """Once for a sync, however often it is asked: the run's id is the event's."""
        context = request.context
        actor = Actor(kind="system", id=context.run)
        telling = self._events.publish(
            context.workspace, SYNC_COMPLETED, request.data, id=context.run, actor=actor
        )
        await self._told(context, telling)

    async def _plan(self, request: PlanRequest) -> SyncPlan:
        workspace, source = request.workspace, request.source
        config = (await self._sources.get(workspace.id, source)).config
        async with self._connectors.open(workspace, source, config) as connector:
            kinds = connector.kinds
        which = "all" if request.full else "new"
        await self._sources.begin(workspace.id, source, request.context.run, kinds, which)
        return SyncPlan(kinds=kinds)

    async def _read(self, request: ReadRequest) -> Reading:
        place = request.workspace.id, request.source
        run, kind = request.context.run, request.kind
        ends = asyncio.get_running_loop().time() + self._slice
        at = await self._sources.current_pass(*place, kind, run)
        if at.phase == "done":
            return at.reading
        config = (await self._sources.get(*place)).config
        async with self._connectors.open(request.workspace, request.source, config) as connector:
            at = await self._turn(place, connector, kind, at)
            while at.phase != "done" and asyncio.get_running_loop().time() < ends:
                at = await self._turn(place, connector, kind, at)
        return at.reading

    async def _turn(
        self, place: tuple[str, str], connector: Connector, kind: Kind, at: Pass
    ) -> Pass:
        if at.phase == "sweeping":
            return await self._sources.sweep(*place, at)
        since = at.reading.since
        page = await connector.page(kind, since, at.cursor)
        then = "sweep" if connector.lists_all(kind, since) else "end"
        return await self._sources.write_page(*place, at, page, then)

    async def _told(self, context: RunContext, work: Awaitable[T]) -> T:
        try:
            return await work
        except PerdureError as error:
            await self._fail(context, error)
        except Exception as error:
            # Its text may hold what was read, or a password; where it was raised does not.
            place = traceback.extract_tb(error.__traceback__)[-1]
            name = type(error).__name__
            log.error("%s: %s at %s:%s", context.path, name, place.filename, place.lineno)
            await self._fail(context, SourceUnreadable(f"something unexpected: {name}"))

    async def _fail(self, context: RunContext, error: PerdureError) -> NoReturn:
        attempt = activity.info().attempt
        # What could not be read so often, patience will not mend.
        given_up = isinstance(error, SourceUnreadable) and attempt >= MOST_UNREADABLE
        final = given_up or not error.retryable
        failure = failure_of(error, context.path, attempt)
        await fail(self._attempts, context, error, failure, final=final)
