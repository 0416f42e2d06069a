"""The pipeline as a whole: where it stands, whose it is, and whether it will do."""

from datetime import date
from typing import Any

from pydantic import Field

from core.tool import Tool, ToolContext
from tools.crm.arguments import Filters, Listed, Paged, Period, Span, Word
from tools.crm.asking import Asking
from tools.registry import tool


class Forecast(Filters, Span):
    period: Period = "this_quarter"


class Coverage(Paged):
    day: date | None = Field(
        None,
        description="Quotas that run on this day; without it, today. Ask for a later one "
        "to see the next quarter's.",
    )
    pipeline: Word | None = Field(None, description="Only quotas of this pipeline, by name or id.")
    owner: Word | None = Field(
        None, description="Only quotas of this owner, by name, email address or id."
    )


class Load(Paged):
    pipeline: Word | None = Field(None, description="Only deals of this pipeline, by name or id.")
    segment: Word | None = Field(None, description="Only deals of this segment.")


def pipeline(ask: Asking) -> tuple[Tool, ...]:
    @tool("read")
    async def crm_pipeline_by_stage(arguments: Filters, context: ToolContext) -> dict[str, Any]:
        """Sum up the open pipeline stage by stage, in the order of the stages.

        Answers {stages, amounts}. Each stage has pipeline_id, pipeline, stage_id, stage,
        probability, deals and amounts [{currency, deals, amount, weighted}]; `weighted` is amount
        times the stage's probability, 0 where it has none. `amounts` outside sums all stages.
        Different currencies are never added up. Stages without open deals are left out.
        """
        return await ask("pipeline_by_stage", arguments, context)

    @tool("read")
    async def crm_pipeline_by_owner(arguments: Listed, context: ToolContext) -> dict[str, Any]:
        """Sum up the open pipeline owner by owner, those with most deals first.

        Answers {owners, total, more, amounts}. Each has owner_id, owner, team, deals and amounts
        [{currency, deals, amount, weighted}], `weighted` by the stages' probabilities; owner_id
        null gathers deals of nobody. `amounts` outside sums all owners, per currency.
        crm_owner_load tells more of each owner's work.
        """
        return await ask("pipeline_by_owner", arguments, context)

    @tool("read")
    async def crm_pipeline_by_segment(arguments: Listed, context: ToolContext) -> dict[str, Any]:
        """Sum up the open pipeline by segment: the deal's own, or else its account's.

        Answers {segments, total, more, amounts}. Each has segment (null: none is known), deals and
        amounts [{currency, deals, amount, weighted}], `weighted` by the stages' probabilities.
        `amounts` outside sums all segments, per currency.
        """
        return await ask("pipeline_by_segment", arguments, context)

    @tool("read")
    async def crm_forecast(arguments: Forecast, context: ToolContext) -> dict[str, Any]:
        """Forecast a period (default: this quarter): what is won, and what is open to close in it.

        Answers {since, until, categories, amounts}. `categories` has the open deals with a close
        date in the period by forecast category (`none` where none is set): category, deals and
        amounts [{currency, deals, amount, weighted}]. `amounts` has for each currency won_deals,
        won, open_deals, open, overdue (the part of open whose close date has passed), weighted
        (open by the stages' probabilities) and expected (won + weighted).
        """
        return await ask("forecast", arguments, context)

    @tool("read")
    async def crm_quota_coverage(arguments: Coverage, context: ToolContext) -> dict[str, Any]:
        """Hold quotas against what is won and what is open: is there enough pipeline?

        Answers {quotas, total, more}: quotas of everybody first, then those of owners, the worst
        covered first. Each has owner_id and owner (null: of everybody), pipeline_id and pipeline
        (null: of all), starts_on, ends_on, currency, quota, won (closed in those days), remaining,
        open (close date in those days), overdue (the part of open whose close date has passed),
        weighted, open_deals, attainment (won / quota), coverage (open / remaining; null where
        nothing remains; 3 is often called healthy) and deals_in_other_currencies, which are not
        counted.
        """
        return await ask("quota_coverage", arguments, context)

    @tool("read")
    async def crm_owner_load(arguments: Load, context: ToolContext) -> dict[str, Any]:
        """Tell how much each owner has in hand. Use it to see who is overloaded, or idle.

        Answers {owners, total, more}, most open deals first, with active owners who have none. Each
        has owner_id, owner, team, active, open_deals, amounts [{currency, deals, amount}],
        closing_30_days (deals due in the next 30 days), overdue (close date passed), stale (no
        touch for 14 days), no_next_step, and activities_30_days (logged by the owner in the last 30
        days, on whatever deal).
        """
        return await ask("owner_load", arguments, context)

    return (
        crm_pipeline_by_stage,
        crm_pipeline_by_owner,
        crm_pipeline_by_segment,
        crm_forecast,
        crm_quota_coverage,
        crm_owner_load,
    )
