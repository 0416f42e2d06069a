from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from core.report import Occasion

if TYPE_CHECKING:
    from core.run import Run
    from services.links import Links
    from services.live import Live
    from services.report_tokens import ReportTokens
    from services.versions import Versions
    from services.workspaces import WorkspaceService
    from store.reports import Reports


class ReportService:
    """What a run gave, for people: the output, and what is said around it."""

    def __init__(
        self,
        live: Live,
        workspaces: WorkspaceService,
        reports: Reports,
        versions: Versions,
        links: Links,
        tokens: ReportTokens,
    ) -> None:
        self._live = live
        self._workspaces = workspaces
        self._reports = reports
        self._versions = versions
        self._links = links
        self._tokens = tokens

    def admit(self, run_id: str, token: str) -> None:
        """Raises Unauthorized."""
        self._tokens.check(token, run_id)

    async def read(self, run: Run) -> tuple[Any, Occasion]:
        current = await self._live.current(run)
        workspace = (await self._workspaces.get(run.workspace_id)).workspace
        at = current.completed_at or current.started_at or current.created_at
        return current.output, Occasion(
            run_id=run.run_id,
            skill=run.skill,
            workspace=workspace.name,
            at=at.astimezone(ZoneInfo(workspace.timezone)),
            status=current.status,
            error=current.error,
            link=self._links.report(run.run_id),
            by_demo=await self._reports.by_demo(run.workspace_id, run.lineage),
        )

    async def format_of(self, run: Run) -> str:
        """Whom the output is written for, as the skill says; `json` where it does not."""
        version = await self._versions.pinned(run.workspace_id, run.skill, run.version)
        return version.skill.flow.format if version else "json"
