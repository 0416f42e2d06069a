"""Finding what a question names."""

import re
from typing import Any, Literal

from pydantic import Field, field_validator

from core.errors import NotFound
from core.model import Frozen
from core.tool import Tool, ToolContext
from tools.crm.arguments import Identity, Paged
from tools.crm.asking import Asking
from tools.registry import tool


class OneAccount(Frozen):
    account_id: Identity = Field(description="As lists of deals and crm_search have it.")
    limit: int = Field(
        20, ge=1, le=100, description="How many contacts, open deals, activities and conversations."
    )


class Search(Paged):
    text: str = Field(
        min_length=1,
        max_length=200,
        description="Words of the name, each may be only its beginning; or an email address, a "
        "domain, or a whole id.",
    )
    kinds: tuple[Literal["deal", "account", "contact", "owner"], ...] = Field(
        ("deal", "account", "contact", "owner"),
        min_length=1,
        max_length=4,
        description="What to look for.",
    )
    limit: int = Field(20, ge=1, le=200, description="How many to list.")

    @field_validator("text")
    @classmethod
    def _has_words(cls, text: str) -> str:
        if not re.search(r"\w", text):
            raise ValueError("expected at least one letter or digit")
        return text


def lookups(ask: Asking) -> tuple[Tool, ...]:
    @tool("read")
    async def crm_get_account(arguments: OneAccount, context: ToolContext) -> dict[str, Any]:
        """Look up one account: who it is, who is known there, what is open, how it went so far.

        Answers {account, contacts, open_deals, closed, activities, conversations}. `account` has
        account_id, name, domain, industry, segment, employees, owner_id, owner, url,
        last_activity_on and days_since_activity; `open_deals` are cards as of crm_open_deals,
        largest first; `closed` has for each outcome and currency deals and amount; activities and
        conversations are the latest first.
        """
        found = await ask("get_account", arguments, context)
        if found is None:
            raise NotFound(
                f"there is no account {arguments.account_id!r}; "
                "crm_search finds accounts by their names"
            )
        return found

    @tool("read")
    async def crm_search(arguments: Search, context: ToolContext) -> dict[str, Any]:
        """Find deals, accounts, contacts and owners by name. Use it to get the id of what is meant.

        All words must be there. Answers {results, total, more}: each has kind, id, name, detail (a
        deal's stage and account, an account's domain, a contact's title and account, an owner's
        team), and url. Exact names come first, then open deals, accounts, contacts and owners, then
        closed deals. Of each kind at most 1000 are looked at.
        """
        return await ask("search", arguments, context)

    return crm_get_account, crm_search
