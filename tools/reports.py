from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from core.report import PreviousOutput
from core.tool import Tool, ToolContext
from tools.registry import tool


class Reports(Protocol):
    async def previous(
        self, workspace: str, skill: str, run_id: str, lineage: str
    ) -> PreviousOutput | None:
        """Of the last run of this skill that succeeded and began before, in another lineage."""
        ...


class NoReports:
    """For a registry that is only read: nothing can be called."""

    async def previous(self, *_: Any, **__: Any) -> PreviousOutput | None:
        return None


class WhichReport(BaseModel):
    model_config = ConfigDict(extra="forbid")

    skill: str | None = Field(
        None, min_length=1, max_length=64, description="Whose report; null is this skill's own."
    )


def previous_report(reports: Reports) -> Tool:
    @tool("read")
    async def previous_report(arguments: WhichReport, context: ToolContext) -> dict[str, Any]:
        """What the last run before this one gave: {run_id, completed_at, output}.

        Of this skill, or of another in the same workspace; only runs that succeeded count. All
        three are null where there was none. To tell what is new, what was resolved, what stayed.
        """
        run = context.run
        skill = arguments.skill or run.skill
        found = await reports.previous(run.workspace, skill, run.run, run.lineage)
        if found is None:
            return dict.fromkeys(PreviousOutput.model_fields)
        return found.model_dump(mode="json")

    return previous_report
