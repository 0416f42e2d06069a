"""What was said, and by whom."""

import re
from typing import Any

from pydantic import Field, field_validator

from core.tool import Tool, ToolContext
from tools.crm.arguments import Filters, Identity, Paged, Period, Span, Word
from tools.crm.asking import Asking
from tools.registry import tool


class Conversations(Paged, Span):
    deal_id: Identity | None = Field(None, description="Only those about this deal.")
    account_id: Identity | None = Field(None, description="Only those with this account.")
    owner: Word | None = Field(
        None, description="Only those led by this owner, by name, email address or id."
    )
    period: Period = "last_90_days"
    limit: int = Field(20, ge=1, le=200, description="How many to list.")
    max_chars: int = Field(
        4000,
        ge=0,
        le=100_000,
        description="Characters of each transcript, from its beginning.",
    )


class Mentions(Paged, Span):
    term: str = Field(
        min_length=2,
        max_length=100,
        description="A word or a phrase; its last word may go on: `budget` finds budgets.",
    )
    deal_id: Identity | None = Field(None, description="Only in conversations about this deal.")
    period: Period = "last_90_days"
    limit: int = Field(20, ge=1, le=100, description="How many conversations to list.")

    @field_validator("term")
    @classmethod
    def _has_words(cls, term: str) -> str:
        if not re.search(r"\w", term):
            raise ValueError("expected at least one letter or digit")
        return term


class Roles(Filters, Paged):
    deal_id: Identity | None = Field(None, description="Only this deal.")
    without_role: Word | None = Field(
        None, description="Only deals with no contact of this role, such as `decision maker`."
    )


def pattern_of(term: str) -> str:
    """The very words one after another, wherever lines were broken between them."""
    words = r"\s+".join(re.escape(word) for word in term.split())
    return (r"\m" if re.match(r"\s*\w", term) else "") + words


def people(ask: Asking) -> tuple[Tool, ...]:
    @tool("read")
    async def crm_conversations(arguments: Conversations, context: ToolContext) -> dict[str, Any]:
        """Read calls, meetings, emails and chats, of one deal or account or of all, latest first.

        Use it to learn what customers said. Answers {since, until, conversations, total, more}.
        Each has conversation_id, kind, title, at (UTC), participants, owner_id, owner, account_id,
        account, url, deals [{deal_id, name, outcome}], summary, transcript (first `max_chars`
        characters) and transcript_chars (how many there are). A page ends early at 1 MB of text:
        `more` says so, and the next begins at offset + how many were listed.
        """
        return await ask("conversations", arguments, context)

    @tool("read")
    async def crm_mentions(arguments: Mentions, context: ToolContext) -> dict[str, Any]:
        """Find where a word or phrase was said in conversations: a competitor, a feature, a worry.

        Upper and lower case are the same. Answers {since, until, mentions, total, more}, latest
        first. Each has conversation_id, kind, title, at (UTC), url, account_id, account, deals
        [{deal_id, name}], hits (how often) and snippets (up to 3, with the words around). Of those
        that hold the words in any order, the latest 2000 are looked at.
        """
        return await ask("mentions", arguments, context, pattern=pattern_of(arguments.term))

    @tool("read")
    async def crm_contact_roles(arguments: Roles, context: ToolContext) -> dict[str, Any]:
        """Tell who is known at each open deal and in which role; find deals without a role.

        Answers {deals, total, more, roles}, largest deals first. Each deal has deal_id, name,
        stage, amount, currency, owner, account and contacts (15 at most) [{contact_id, name, title,
        email, role}]. `roles` counts over all that match: role (null: none is set), deals,
        contacts.
        """
        return await ask("contact_roles", arguments, context)

    return crm_conversations, crm_mentions, crm_contact_roles
