"""How deals move: how many, how fast, and how often they are won."""

from typing import Any, Literal

from pydantic import Field

from core.tool import Tool, ToolContext
from tools.crm.arguments import Filters, Period, Span
from tools.crm.asking import Asking
from tools.registry import tool


class Cohort(Filters, Span):
    period: Period = "last_90_days"


class Velocity(Filters, Span):
    period: Period = "last_365_days"


class Closed(Filters, Span):
    period: Period = "last_90_days"
    by: Literal["nothing", "owner", "pipeline", "segment", "month"] = Field(
        "nothing", description="What to group by, beside the overall figures."
    )


def rates(ask: Asking) -> tuple[Tool, ...]:
    @tool("read")
    async def crm_stage_conversion(arguments: Cohort, context: ToolContext) -> dict[str, Any]:
        """Tell for each stage what became of the deals that first entered it in a period.

        Use it to find the stage where deals are lost. Answers {since, until, stages}, in their
        order. Each has pipeline_id, pipeline, stage_id, stage and entered, which is the sum of
        advanced (afterwards in a later stage, or won), lost (without advancing), still_there and
        moved_back (open in an earlier stage). Of `entered`, `won` are won by now. Rates from 0 to
        1: advanced_rate (of entered), decided_rate (of advanced + lost: what to expect of young
        cohorts) and won_rate. Stages that nobody entered are left out.
        """
        return await ask("stage_conversion", arguments, context)

    @tool("read")
    async def crm_stage_velocity(arguments: Velocity, context: ToolContext) -> dict[str, Any]:
        """Tell how long deals stay in each stage, and how long those there now have been.

        Answers {since, until, stages}, every open stage in its order. Each has pipeline_id,
        pipeline, stage_id, stage, passes (stays that ended in the period), median_days and p75_days
        of those, open_deals (there now), open_median_days (of those, so far) and open_twice_median
        (how many of those have stayed more than twice the median). crm_at_risk_deals with kinds
        ["stuck"] names such deals.
        """
        return await ask("stage_velocity", arguments, context)

    @tool("read")
    async def crm_win_rate(arguments: Closed, context: ToolContext) -> dict[str, Any]:
        """Tell how many of the deals that closed in a period were won, by count and by amount.

        Answers {since, until, overall, groups}. `overall`, and each group beside its key and name,
        has won, lost, win_rate (0 to 1, null where nothing closed) and amounts [{currency, won,
        lost, win_rate}]. `groups` is empty unless `by` asks for them.
        """
        return await ask("win_rate", arguments, context)

    @tool("read")
    async def crm_cycle_time(arguments: Closed, context: ToolContext) -> dict[str, Any]:
        """Tell how many days deals took from creation to closing, of those closed in a period.

        Answers {since, until, overall, groups}. `overall`, and each group beside its key and name,
        has won and lost, each with deals, median_days and p75_days (null where there are none).
        `groups` is empty unless `by` asks for them.
        """
        return await ask("cycle_time", arguments, context)

    return crm_stage_conversion, crm_stage_velocity, crm_win_rate, crm_cycle_time
