"""What makes a report of computed problems, so that no model has to copy an id or a number."""

from typing import Annotated, Any

from pydantic import Field

from core.findings import Figure, Judgement, Problem, compared, found, judged, tasks
from core.model import Frozen
from core.report import Report
from core.tool import Tool, ToolContext
from tools.registry import tool

MOST_PROBLEMS = 5_000

Text = Annotated[str, Field(max_length=20_000)]


class DraftedReport(Frozen):
    title: str = Field(max_length=200, description="What the report is called.")
    problems: tuple[Problem, ...] = Field(
        max_length=MOST_PROBLEMS,
        description="Each {kind, deal, why, severity, action}: `deal` is a deal as the crm_ tools"
        " answer it, `why` a phrase with the numbers in it, `action` what to do about it. Of equal"
        " severity, the first problem of a deal gives its finding the title.",
    )
    metrics: tuple[Figure, ...] = Field(
        (),
        max_length=30,
        description="Each {label, value, unit, before}: `unit` is a currency, `%`, `days` or"
        " nothing; `before` is what the value was, for the change.",
    )
    summary: Text = Field("", description="What is said first, where no model says it.")
    period: str | None = Field(None, max_length=200, description="The time and scope it is about.")
    previous: Any = Field(
        None,
        description="What the run before gave. It is compared where it is a report of the same"
        " title and period, so name there what a report was limited to.",
    )
    since: str | None = Field(None, max_length=100, description="When that was.")
    unlisted: int = Field(
        0, ge=0, description="How many problems there are besides those in `problems`."
    )
    note: str | None = Field(None, max_length=2_000, description="Said below the report.")


class FinishedReport(Frozen):
    report: Report = Field(description="As draft_report gave it.")
    summary: Text = Field("", description="What is said first; empty leaves it as it is.")
    judgements: tuple[Judgement, ...] = Field(
        (),
        max_length=MOST_PROBLEMS,
        description="Each {deal_id, severity, comment, action}; what is about a deal that the"
        " report does not name is dropped.",
    )


@tool("read")
async def draft_report(arguments: DraftedReport, _: ToolContext) -> Report:
    """Make a report of computed problems: one finding for each deal, the worst first, with its
    owner's tasks and what changed since the report before."""
    findings, changes = found(arguments.problems), None
    before = Report.read(arguments.previous) if arguments.previous is not None else None
    if before and (before.title, before.period) == (arguments.title, arguments.period):
        findings, changes = compared(findings, before, arguments.since, arguments.unlisted)
    more = f"{arguments.unlisted} more problems are not listed." if arguments.unlisted else ""
    return Report(
        title=arguments.title,
        summary=arguments.summary,
        period=arguments.period,
        metrics=tuple(figure.metric() for figure in arguments.metrics),
        findings=findings,
        changes=changes,
        tasks=tasks(findings),
        note=" ".join(part for part in (more, (arguments.note or "").strip()) if part) or None,
    )


@tool("read")
async def finish_report(arguments: FinishedReport, _: ToolContext) -> Report:
    """Add a model's judgement to a drafted report. Severity, comment and action of a deal are the
    model's; names, amounts, dates and which deals there are stay as they were computed."""
    report = arguments.report
    findings, strange = judged(report.findings, arguments.judgements)
    dropped = f"Dropped: what the model said of {strange} deals that are not in the data."
    return report.model_copy(
        update={
            "summary": arguments.summary.strip() or report.summary,
            "findings": findings,
            "tasks": tasks(findings),
            "note": " ".join(part for part in (report.note, dropped if strange else "") if part)
            or None,
        }
    )


TOOLS: tuple[Tool, ...] = (draft_report, finish_report)
