from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from core.errors import NotFound
from core.model import Frozen
from core.run import Run, RunOrigin
from core.tool import Actor, Mode
from services.launch import Beginning, Once, fresh_run_id, new_origin, settled
from store.runs import RunFilter as RunFilter

if TYPE_CHECKING:
    from core.skill import SkillVersion
    from services.access import Access
    from services.callbacks import CallbackService
    from services.launch import Launch
    from services.live import Live
    from services.skills import SkillService
    from services.starter import Starter
    from services.versions import Versions
    from services.workspaces import WorkspaceRow
    from store.page import Page
    from store.runs import Runs


class StartRequest(Frozen):
    """What a caller asks of a skill, as it was sent: two equal ones are the same request."""

    inputs: dict[str, Any] = Field(default_factory=dict[str, Any])
    label: str | None = None
    mode: Mode = "live"
    trigger: Literal["manual", "webhook"] = "manual"
    callback_url: str | None = None


class RunService:
    def __init__(
        self,
        runs: Runs,
        skills: SkillService,
        versions: Versions,
        launch: Launch,
        starter: Starter,
        live: Live,
        callbacks: CallbackService,
    ) -> None:
        self._runs = runs
        self._skills = skills
        self._versions = versions
        self._launch = launch
        self._starter = starter
        self._live = live
        self._callbacks = callbacks

    async def start(
        self,
        workspace: WorkspaceRow,
        skill: str,
        request: StartRequest,
        access: Access,
        idempotency_key: str | None = None,
    ) -> Run:
        """The same key and request give the same run, for ever, whatever became of the skill."""
        asked = request.model_dump(mode="json")
        once = Once.of(idempotency_key, workspace.id, ["run", skill, asked])
        known = await self._launch.known(workspace.id, once)
        if known is not None:
            return await self._mended(known, workspace, request)
        await self._callbacks.require(request.callback_url)
        version = await self._skills.get(workspace.id, skill)
        run_id = fresh_run_id(skill)
        actor = Actor(kind="key", id=access.key_id)
        run = await self._launch.begin(
            Beginning(
                run_id=run_id,
                origin=await self._origin(workspace, version, run_id, actor, request),
                skill=version.skill,
                inputs=settled(version.skill, request.inputs),
                label=request.label,
                once=once,
                callback_url=request.callback_url,
            )
        )
        # The same request came at the same moment, and it is not certain that its start succeeds.
        return run if run.run_id == run_id else await self._mended(run, workspace, request)

    async def get(self, run_id: str, workspace: str | None) -> Run:
        """The row; `workspace` None looks in all of them. Raises NotFound."""
        run = await self._runs.find(run_id, workspace)
        if run is None:
            raise NotFound(f"there is no run {run_id[:120]!r}")
        return run

    async def whole(self, run: Run) -> Run:
        whole = await self._live.whole(run)
        return whole.model_copy(update={"callback": await self._callbacks.of(run)})

    async def list_page(
        self, workspace: str, filters: RunFilter, limit: int, cursor: str | None
    ) -> Page[Run]:
        return await self._runs.list_page(workspace, filters, limit, cursor)

    async def ended_within(self, run: Run, patience: timedelta) -> Run:
        """As it is once it ended, or as it is when patience does."""
        await self._starter.ended_within(run.run_id, patience)
        return await self.refreshed(run)

    async def refreshed(self, run: Run) -> Run:
        return await self._live.current(await self.get(run.run_id, run.workspace_id))

    async def _mended(self, run: Run, workspace: WorkspaceRow, request: StartRequest) -> Run:
        if not await self._launch.was_left(run):
            return await self._live.current(run)
        version = await self._versions.pinned(workspace.id, run.skill, run.version)
        if version is not None:
            origin = await self._origin(workspace, version, run.run_id, run.actor, request)
            await self._launch.start(
                Beginning(run.run_id, origin, version.skill, run.inputs, run.label)
            )
        return run

    async def _origin(
        self,
        workspace: WorkspaceRow,
        version: SkillVersion,
        run_id: str,
        actor: Actor,
        request: StartRequest,
    ) -> RunOrigin:
        pins = await self._versions.pins(workspace.id, version)
        origin = new_origin(
            workspace, version, pins, run_id, actor, trigger=request.trigger, mode=request.mode
        )
        return origin.model_copy(update={"callback": request.callback_url is not None})
