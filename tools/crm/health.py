"""Open deals with something wrong."""

from typing import Any, Literal

from pydantic import Field

from core.tool import Tool, ToolContext
from tools.crm.arguments import Listed, Money
from tools.crm.asking import Asking
from tools.registry import tool

Risk = Literal[
    "stale",
    "slipped",
    "stuck",
    "pushed",
    "amount_cut",
    "single_threaded",
    "no_next_step",
    "missing_fields",
]
Checked = Literal[
    "next_step", "amount", "close_date", "owner", "account", "forecast_category", "contacts"
]


class Stale(Listed):
    days: int = Field(14, ge=1, le=3650, description="Days without any activity, at least.")


class AtRisk(Listed):
    min_score: int = Field(25, ge=1, le=100, description="Only deals with this score or more.")
    kinds: tuple[Risk, ...] | None = Field(
        None, min_length=1, max_length=8, description="Only deals with one of these reasons."
    )


class Slipped(Listed):
    days: int = Field(1, ge=1, le=3650, description="Days since the close date, at least.")


class Gaps(Listed):
    min_gap: int = Field(21, ge=2, le=3650, description="Days from one activity to the next.")
    days: int = Field(90, ge=7, le=3650, description="How many days to look back.")


class SingleThreaded(Listed):
    max_contacts: int = Field(1, ge=0, le=10, description="Contacts of the deal, at most.")
    large_amount: Money | None = Field(
        None,
        description="From which amount a deal is large; without it, the largest quarter of the "
        "open deals of its currency is.",
    )


class Pushes(Listed):
    min_pushes: int = Field(3, ge=1, le=100, description="How often it was moved later, at least.")
    days: int | None = Field(
        None, ge=1, le=3650, description="Count only the last so many days; without it, all."
    )


class AmountChanges(Listed):
    days: int = Field(60, ge=1, le=3650, description="How many days to look back.")
    direction: Literal["cut", "raise", "any"] = Field(
        "any", description="Only amounts that fell, or that rose."
    )
    min_percent: float = Field(
        0, ge=0, le=10_000, description="Change of at least so many percent, up or down."
    )


class Missing(Listed):
    fields: tuple[Checked, ...] = Field(
        ("next_step", "amount", "close_date"),
        min_length=1,
        max_length=7,
        description="What a deal should have; `contacts` means at least one.",
    )


def health(ask: Asking) -> tuple[Tool, ...]:
    @tool("read")
    async def crm_stale_deals(arguments: Stale, context: ToolContext) -> dict[str, Any]:
        """List open deals that nobody has touched for `days` days, the longest silent first.

        A touch is any logged activity or recorded conversation up to now; for a deal that never had
        one, the day it was created counts. Answers {as_of, deals, total, more, amounts}: cards as
        of crm_open_deals, each with quiet_days and next_activity_on (the next one planned, or
        null).
        """
        return await ask("stale_deals", arguments, context)

    @tool("read")
    async def crm_at_risk_deals(arguments: AtRisk, context: ToolContext) -> dict[str, Any]:
        """List open deals by how much is wrong with them, with each reason. Begin a review here.

        Points: stale 25 (no touch for 14 days), slipped 25 (close date passed), stuck 15 (in its
        stage for more than twice the median of the last 365 days, of at least 5 passes), pushed 15
        (close date moved later 3 times or more), amount_cut 15 (30 % or more within 60 days),
        single_threaded 15 (late stage or large, at most one contact), no_next_step 10,
        missing_fields 10 (amount or close date). The score is their sum, at most 100. What was said
        in conversations does not count: read those with crm_conversations. Answers {as_of, deals,
        total, more, amounts}: cards as of crm_open_deals, each with score and reasons [{kind,
        points, detail}].
        """
        return await ask("at_risk_deals", arguments, context)

    @tool("read")
    async def crm_slipped_deals(arguments: Slipped, context: ToolContext) -> dict[str, Any]:
        """List open deals whose close date has passed, the longest overdue first.

        Answers {as_of, deals, total, more, amounts}: cards as of crm_open_deals, each with
        days_overdue (1: it should have closed yesterday).
        """
        return await ask("slipped_deals", arguments, context)

    @tool("read")
    async def crm_activity_gaps(arguments: Gaps, context: ToolContext) -> dict[str, Any]:
        """List open deals with long silences in the last `days` days, also those that ended.

        Use it to find deals that are worked on in fits and starts; crm_stale_deals has those silent
        now. A gap lies between two logged activities, or before the first or after the last one.
        Answers {as_of, deals, total, more, amounts}: cards as of crm_open_deals, each with
        longest_gap_days, gap_began_on, gap_ended_on (null while it lasts), gaps (how many of at
        least `min_gap` days) and activities (logged in that time).
        """
        return await ask("activity_gaps", arguments, context)

    @tool("read")
    async def crm_single_threaded_deals(
        arguments: SingleThreaded, context: ToolContext
    ) -> dict[str, Any]:
        """List open deals that hang on one contact, or none, though they are late or large.

        Late is a stage of 50 % probability or more, or, where stages have none, one of the later
        half of its pipeline's. Answers {as_of, deals, total, more, amounts}: cards as of
        crm_open_deals, largest first, each with contacts (how many) and why (late_stage, large).
        """
        return await ask("single_threaded_deals", arguments, context)

    @tool("read")
    async def crm_close_date_pushes(arguments: Pushes, context: ToolContext) -> dict[str, Any]:
        """List open deals whose close date was moved later again and again, most often first.

        Answers {as_of, deals, total, more, amounts}: cards as of crm_open_deals, each with pushes,
        days_pushed (all pushes together), first_close_date (before the first of them) and
        last_pushed_on.
        """
        return await ask("close_date_pushes", arguments, context)

    @tool("read")
    async def crm_amount_changes(arguments: AmountChanges, context: ToolContext) -> dict[str, Any]:
        """List open deals whose amount is not what it was `days` days ago, largest change first.

        Answers {as_of, deals, total, more, amounts}: cards as of crm_open_deals, each with
        amount_before, amount_now, change, change_percent (negative: cut; null where it was 0
        before), changes (how many in that time) and last_changed_on. A deal first valued in that
        time is compared with that first amount.
        """
        return await ask("amount_changes", arguments, context)

    @tool("read")
    async def crm_missing_fields(arguments: Missing, context: ToolContext) -> dict[str, Any]:
        """List open deals that lack a next step, an amount, a close date, or whatever is asked.

        An amount of 0 is missing. Answers {as_of, deals, total, more, amounts}: cards as of
        crm_open_deals, each with missing (names of fields); those that lack most come first.
        """
        return await ask("missing_fields", arguments, context)

    return (
        crm_stale_deals,
        crm_at_risk_deals,
        crm_slipped_deals,
        crm_activity_gaps,
        crm_single_threaded_deals,
        crm_close_date_pushes,
        crm_amount_changes,
        crm_missing_fields,
    )
