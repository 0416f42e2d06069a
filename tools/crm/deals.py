"""Deals by what became of them."""

from datetime import date
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from core.errors import NotFound
from core.model import Frozen
from core.tool import Tool, ToolContext
from tools.crm.arguments import Identity, Listed, Period, Span, Word
from tools.crm.asking import Asking
from tools.registry import tool


class OpenDeals(Listed):
    stage: Word | None = Field(None, description="Only this stage, by name or id.")
    category: Word | None = Field(None, description="Only this forecast category.")
    closing_from: date | None = Field(None, description="Close date on this day or later.")
    closing_until: date | None = Field(None, description="Close date on this day or earlier.")
    in_stage_since: date | None = Field(
        None, description="Came into its stage on this day or later: what has moved."
    )
    order_by: Literal["amount", "close_date", "time_in_stage"] = Field(
        "amount", description="Largest, soonest to close, or longest in their stage first."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.closing_from and self.closing_until and self.closing_from > self.closing_until:
            raise ValueError("`closing_from` is after `closing_until`")
        return self


class DealsOfPeriod(Listed, Span):
    period: Period = "last_7_days"


class OneDeal(Frozen):
    deal_id: Identity = Field(description="As every list of deals has it.")
    limit: int = Field(
        20, ge=1, le=100, description="How many changes, activities and conversations of each."
    )


def deals(ask: Asking) -> tuple[Tool, ...]:
    @tool("read")
    async def crm_open_deals(arguments: OpenDeals, context: ToolContext) -> dict[str, Any]:
        """List open deals. Use it to see what is in the pipeline, or a part of it.

        Answers {as_of, deals, total, more, amounts}. `as_of` is today. Each deal is a card:
        deal_id, name, url, pipeline, stage, outcome, amount, currency, close_date, owner_id, owner,
        account_id, account, forecast_category, next_step, days_in_stage, last_activity_on,
        days_since_activity. `total` counts all that match, `more` says whether another page
        follows, and `amounts` sums all that match, per currency.
        """
        return await ask("open_deals", arguments, context)

    @tool("read")
    async def crm_new_deals(arguments: DealsOfPeriod, context: ToolContext) -> dict[str, Any]:
        """List deals that were created in a period (default: the last 7 days), newest first.

        Whatever became of them since. Answers {as_of, deals, total, more, amounts}: cards as of
        crm_open_deals, each with created_on; `amounts` sums all that match, per currency.
        """
        return await ask("new_deals", arguments, context)

    @tool("read")
    async def crm_won_deals(arguments: DealsOfPeriod, context: ToolContext) -> dict[str, Any]:
        """List deals that were won in a period (default: the last 7 days), latest first.

        Answers {as_of, deals, total, more, amounts}: cards as of crm_open_deals, each with
        closed_on and cycle_days (from creation to closing); `amounts` sums all that match, per
        currency.
        """
        return await ask("won_deals", arguments, context)

    @tool("read")
    async def crm_lost_deals(arguments: DealsOfPeriod, context: ToolContext) -> dict[str, Any]:
        """List deals that were lost in a period (default: the last 7 days), latest first.

        Answers {as_of, deals, total, more, amounts}: cards as of crm_open_deals, each with
        closed_on, cycle_days (from creation to closing) and lost_reason (null where none was
        given); `amounts` sums all that match, per currency.
        """
        return await ask("lost_deals", arguments, context)

    @tool("read")
    async def crm_get_deal(arguments: OneDeal, context: ToolContext) -> dict[str, Any]:
        """Look up one deal with its people and its past. Use it before judging a single deal.

        Answers {deal, contacts, changes, activities, conversations}. `deal` is a card as of
        crm_open_deals, with segment, probability, created_on, closed_on and lost_reason; `contacts`
        have name, title, email and role; `changes` tell on which day stage, amount, close date,
        owner or forecast category changed, from what to what; activities (what was planned too) and
        conversations are the latest first, with texts cut short: crm_conversations has transcripts.
        """
        found = await ask("get_deal", arguments, context)
        if found is None:
            raise NotFound(
                f"there is no deal {arguments.deal_id!r}; crm_search finds deals by their names"
            )
        return found

    return crm_open_deals, crm_new_deals, crm_won_deals, crm_lost_deals, crm_get_deal
