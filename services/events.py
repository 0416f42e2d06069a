"""What happened: kept once, told to the skills that it starts and to the runs that wait for it."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from core.digest import size_of
from core.errors import FieldFault, Invalid, NotFound, PerdureError, Unavailable, ValueTooLarge
from core.event import EVENT_NAME, MAX_EVENT_BYTES, Published, Skipped
from core.run import MOST_DEEP
from core.tool import Actor
from core.triggers import NotStarted, inputs_of
from services.launch import Beginning, fresh_run_id, hash_of, new_origin, settled
from store.events import NewEvent, Plan, Start
from store.events import StoredEvent as StoredEvent

if TYPE_CHECKING:
    from core.skill import SkillVersion
    from services.launch import Launch
    from services.live import Live
    from services.versions import Versions
    from services.wakes import Wakes
    from store.events import Events
    from store.page import Page
    from store.workspaces import Workspaces

log = logging.getLogger(__name__)

# Younger ones are under way where they were told.
LEFT_AFTER = timedelta(seconds=5)
AT_ONCE = 100
LONGEST_ID = 255


class EventService:
    def __init__(
        self,
        events: Events,
        workspaces: Workspaces,
        versions: Versions,
        launch: Launch,
        live: Live,
        wakes: Wakes,
    ) -> None:
        self._events = events
        self._workspaces = workspaces
        self._versions = versions
        self._launch = launch
        self._live = live
        self._wakes = wakes

    async def publish(
        self, workspace: str, event: str, data: dict[str, Any], *, id: str | None, actor: Actor
    ) -> Published:
        """The same id and body give the same answer, for ever. A run that tells of something is
        the actor, as `system` with its id: so it is seen when runs start each other in a circle."""
        _require_usable(event, data, id)
        stored = await self._events.put(
            NewEvent(
                workspace=workspace,
                name=event,
                data=data,
                actor=actor,
                id_hash=None if id is None else _id_hash(workspace, id),
                request_hash=hash_of([event, data]),
            )
        )
        plan = await self._planned(stored)
        try:
            await self._dispatch(stored, plan)
            await self._wakes.tell()
        except Unavailable as away:
            log.warning("what event %s starts is started later: %s", stored.event.id, away)
        return plan.published(stored.event.id)

    async def get(self, workspace: str, event_id: str) -> StoredEvent:
        found = await self._events.find(workspace, event_id)
        if found is None:
            raise NotFound(f"there is no event {event_id[:80]!r}")
        return found

    async def list_page(
        self, workspace: str, name: str | None, id: str | None, limit: int, cursor: str | None
    ) -> Page[StoredEvent]:
        """Newest first; `id` is the one it was told with."""
        id_hash = None if id is None else _id_hash(workspace, id)
        return await self._events.list_page(workspace, name, id_hash, limit, cursor)

    async def finish_left(self) -> None:
        """Starts what a gateway or a worker could not start before it died."""
        for stored in await self._events.undispatched(LEFT_AFTER, AT_ONCE):
            try:
                await self._dispatch(stored, await self._planned(stored))
            except Unavailable:
                raise
            except Exception:
                log.exception("event %s cannot be dispatched", stored.event.id)

    async def _planned(self, stored: StoredEvent) -> Plan:
        """Decided once, before anything starts, so that whoever goes on does the same."""
        if stored.plan is not None:
            return stored.plan
        depth = await self._depth(stored)
        skills = await self._versions.started_by(stored.workspace, stored.event.name)
        starts: list[Start] = []
        skipped: list[Skipped] = []
        for name, version in skills.items():
            try:
                if depth > MOST_DEEP:
                    message = f"{depth} runs led to each other before it: they may go in a circle"
                    raise NotStarted("too_deep", message)
                if version is None:
                    raise NotStarted("invalid_skill", "this release cannot read it: upload it anew")
                await self._inputs(stored, version)
                run_id = fresh_run_id(name)
                starts.append(Start(skill_id=name, run_id=run_id, version=version.hash))
            except NotStarted as why:
                skipped.append(Skipped(skill_id=name, code=why.code, message=why.message))
        plan = Plan(depth=depth, starts=tuple(starts), skipped=tuple(skipped))
        return await self._events.plan(stored, plan)

    async def _depth(self, stored: StoredEvent) -> int:
        """How many runs led to this event, where a run told it."""
        if stored.actor.kind != "system":
            return 0
        origin = await self._live.origin(stored.actor.id)
        if origin is None or origin.workspace.id != stored.workspace:
            return 0
        return origin.depth + 1

    async def _inputs(self, stored: StoredEvent, version: SkillVersion) -> dict[str, Any]:
        """Raises NotStarted."""
        row = await self._workspaces.get(stored.workspace)
        # An expression may take a fifth of a second: not in the loop that others live in.
        inputs = await asyncio.to_thread(inputs_of, version.skill, stored.event, row.workspace)
        try:
            return settled(version.skill, inputs)
        except ValueTooLarge as error:
            raise NotStarted(error.code, error.message) from None

    async def _dispatch(self, stored: StoredEvent, plan: Plan) -> None:
        if stored.dispatched_at is not None:
            return
        for start in plan.starts:
            try:
                await self._start(stored, plan, start)
            except Unavailable:
                raise
            except (NotStarted, PerdureError) as why:
                # Only a release that came between can change what the plan found in order.
                log.warning("%s of event %s: %s", start.run_id, stored.event.id, why)
        await self._events.dispatched(stored)

    async def _start(self, stored: StoredEvent, plan: Plan, start: Start) -> None:
        version = await self._versions.pinned(stored.workspace, start.skill_id, start.version)
        if version is None:
            raise NotFound(f"there is no skill {start.skill_id} any more")
        workspace = await self._workspaces.get(stored.workspace)
        origin = new_origin(
            workspace,
            version,
            await self._versions.pins(stored.workspace, version),
            start.run_id,
            Actor(kind="system", id="event"),
            trigger="event",
            depth=plan.depth,
        )
        await self._launch.ensure(
            Beginning(
                run_id=start.run_id,
                origin=origin,
                skill=version.skill,
                inputs=await self._inputs(stored, version),
                label=stored.event.name,
                event=stored.event.model_dump(mode="json"),
            )
        )


def _require_usable(event: str, data: dict[str, Any], id: str | None) -> None:
    faults: list[FieldFault] = []
    if not EVENT_NAME.fullmatch(event):
        message = "expected small letters, digits, `_` and `.`, such as sync_completed, 64 at most"
        faults.append(FieldFault(field="event", message=message))
    if id is not None and not 0 < len(id) <= LONGEST_ID:
        message = f"expected 1 to {LONGEST_ID} characters"
        faults.append(FieldFault(field="id", message=message))
    if (size := size_of(data)) > MAX_EVENT_BYTES:
        message = f"expected at most {MAX_EVENT_BYTES:,} bytes of JSON, got {size:,}"
        faults.append(FieldFault(field="data", message=message))
    if faults:
        raise Invalid(f"{faults[0].field}: {faults[0].message}", faults)


def _id_hash(workspace: str, id: str) -> bytes:
    return hash_of(["event", workspace, id])
