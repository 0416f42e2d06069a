from datetime import UTC, datetime
from typing import Protocol

from core.digest import digest_of_text
from core.effects import ChildReady, ChildRequest
from core.errors import NotFound
from core.inputs import settle
from core.run import RunOrigin
from core.skill import SkillVersion
from core.tool import Actor
from store.runs import NewRun, Runs


class Pinned(Protocol):
    async def pinned(self, workspace: str, name: str, version: str) -> SkillVersion | None: ...


class PinnedChildren:
    """Prepares the runs that a run starts, of the versions that were current when it began."""

    def __init__(self, runs: Runs, versions: Pinned) -> None:
        self._runs = runs
        self._versions = versions

    async def prepare(self, request: ChildRequest) -> ChildReady:
        """Doing it twice is harmless: the row is found by its run id."""
        parent = request.origin
        pin = parent.pins.get(request.skill)
        found = pin and await self._versions.pinned(parent.workspace.id, request.skill, pin)
        if not found:
            raise NotFound(f"there is no skill `{request.skill}` for this run")
        skill = found.skill
        inputs = settle(skill.flow.inputs, request.inputs)
        given_by, lineage = await self._before(request)
        origin = RunOrigin(
            workspace=parent.workspace,
            skill=skill.name,
            version=found.hash,
            lineage=lineage,
            trigger="skill",
            actor=Actor(kind="system", id=request.parent),
            parent=request.parent,
            depth=parent.depth + 1,
            mode=parent.mode,
            given_by=given_by,
            pins=parent.pins,
            allowed_tools=skill.allowed_tools,
            max_tokens=skill.flow.max_tokens,
            approve_writes=parent.approve_writes,
            model_queue=parent.model_queue,
            instructions_digest=digest_of_text(skill.instructions),
        )
        await self._runs.queue(
            NewRun(
                run_id=request.run,
                workspace_id=parent.workspace.id,
                skill=skill.name,
                version=found.hash,
                trigger=origin.trigger,
                actor=origin.actor,
                label=request.path,
                parent=request.parent,
                lineage=origin.lineage,
                retry_of=given_by,
                inputs=inputs,
                created_at=datetime.now(UTC),
            )
        )
        flow = skill.flow if skill.kind == "flow" else None
        return ChildReady(kind=skill.kind, origin=origin, flow=flow, inputs=inputs)

    async def _before(self, request: ChildRequest) -> tuple[str | None, str]:
        """The run that this one goes on from, and the first of their lineage."""
        if request.given_by is None:
            return None, request.run
        row = await self._runs.find(request.given_by, request.origin.workspace.id)
        if row is None:
            return request.given_by, request.given_by
        if row.skill != request.skill:
            return None, request.run
        return row.run_id, row.lineage
