from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from core.digest import digest_of_text
from core.errors import Conflict, HistoryGone, RunNotEnded
from core.model import Frozen
from core.run import ENDED, Run, RunOrigin
from core.skill import Skill
from core.sync import SYNC
from core.tool import Actor
from services.launch import Beginning, Once, fresh_run_id, settled
from services.workspaces import approve_writes

if TYPE_CHECKING:
    from services.access import Access
    from services.callbacks import CallbackService
    from services.launch import Launch
    from services.live import Live
    from services.skills import SkillService
    from services.versions import Versions
    from services.workspaces import WorkspaceRow


INHERIT = "inherit"


class RetryRequest(Frozen):
    """Without a word, the skill and the inputs are those of the run that is retried."""

    version: Literal["latest"] | None = None
    inputs: dict[str, Any] | None = None
    # `inherit`: where the end of the retried run is told; None: nowhere.
    callback_url: str | None = INHERIT


class RetryService:
    def __init__(
        self,
        skills: SkillService,
        versions: Versions,
        launch: Launch,
        live: Live,
        callbacks: CallbackService,
    ) -> None:
        self._skills = skills
        self._versions = versions
        self._launch = launch
        self._live = live
        self._callbacks = callbacks

    async def retry(
        self,
        workspace: WorkspaceRow,
        run: Run,
        request: RetryRequest,
        access: Access,
        idempotency_key: str | None = None,
    ) -> Run:
        """A new run of the same lineage, that is given what the old one finished."""
        if run.skill == SYNC:
            raise Conflict("a sync is not retried: sync its source again")
        asked = request.model_dump(mode="json")
        once = Once.of(idempotency_key, workspace.id, ["retry", run.run_id, asked])
        known = await self._launch.known(workspace.id, once)
        if known is not None and not await self._launch.was_left(known):
            return await self._live.current(known)
        if known is None and (await self._live.current(run)).status not in ENDED:
            raise RunNotEnded("the run goes on: only one that ended can be retried")
        beginning = await self._beginning(workspace, run, request, access)
        if known is None:
            known = await self._launch.begin(replace(beginning, once=once))
            if known.run_id == beginning.run_id:
                return known
        await self._launch.start(replace(beginning, run_id=known.run_id))
        return known

    async def _beginning(
        self, workspace: WorkspaceRow, run: Run, request: RetryRequest, access: Access
    ) -> Beginning:
        given = await self._live.given(run.run_id)
        callback_url = await self._callback_url(run, request)
        origin = await self._live.origin(run.run_id)
        if origin is None:
            raise HistoryGone("what this run had finished is no longer known: start it anew")
        if request.version == "latest":
            version = await self._skills.get(workspace.id, run.skill)
            told = digest_of_text(version.skill.instructions)
            skill, pins = version.skill, await self._versions.pins(workspace.id, version)
            inputs = settled(skill, run.inputs if request.inputs is None else request.inputs)
            number = version.hash
        else:
            skill, pins, number = await self._as_it_was(run), origin.pins, run.version
            told = origin.instructions_digest
            inputs = run.inputs if request.inputs is None else settled(skill, request.inputs)
        return Beginning(
            run_id=fresh_run_id(run.skill),
            origin=RunOrigin(
                workspace=workspace.workspace,
                skill=run.skill,
                version=number,
                lineage=run.lineage,
                trigger="retry",
                actor=Actor(kind="key", id=access.key_id),
                mode=origin.mode,
                given_by=run.run_id,
                pins=pins,
                allowed_tools=skill.allowed_tools,
                max_tokens=skill.flow.max_tokens,
                approve_writes=approve_writes(workspace.settings),
                instructions_digest=told,
                callback=callback_url is not None,
            ),
            skill=skill,
            inputs=inputs,
            label=run.label,
            event=given and given.event,
            callback_url=callback_url,
        )

    async def _callback_url(self, run: Run, request: RetryRequest) -> str | None:
        if request.callback_url == INHERIT:
            return await self._callbacks.url_of(run)
        await self._callbacks.require(request.callback_url)
        return request.callback_url

    async def _as_it_was(self, run: Run) -> Skill:
        """A built-in skill that was edited since is still in the history of its runs."""
        version = await self._versions.pinned(run.workspace_id, run.skill, run.version)
        if version is not None:
            return version.skill
        given = await self._live.given(run.run_id)
        if given is not None:
            return Skill(name=run.skill, description="", instructions="", flow=given.flow)
        current = await self._versions.find(run.workspace_id, run.skill)
        if current is not None and current.skill.kind == "python":
            return current.skill  # its code is the installation's: there is no other
        raise HistoryGone("this version of the skill is gone: retry with version latest")
