"""Slack, by the incoming webhook that a workspace keeps as a secret."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import (
    ChannelClosed,
    HttpFailed,
    HttpFailedForNow,
    MessageRefused,
    NotifyFailed,
    NotifyFailedForNow,
    SecretMissing,
    SecretNotAllowed,
    WebhookGone,
)
from core.notice import Draft
from core.render.slack import slack
from outbound import may_go_to, parse_url

if TYPE_CHECKING:
    from core.report import Occasion
    from outbound import Posted, Poster

SECRET = "slack_webhook_url"
HEADERS = {"content-type": "application/json; charset=utf-8", "accept": "*/*"}
ANSWER_WITHIN = timedelta(seconds=20)
EXCERPT = 200  # bytes
LONGEST_PAUSE = timedelta(hours=1)
# Slack's words for what is wrong. They are answered with a status, which says less.
WORD = re.compile(r"[a-z]+(_[a-z]+)*")
GONE = {
    "no_service",
    "no_service_id",
    "no_team",
    "team_disabled",
    "invalid_token",
    "no_active_hooks",
}
CLOSED = {
    "channel_is_archived",
    "channel_not_found",
    "action_prohibited",
    "user_not_found",
    "posting_to_general_channel_denied",
}
FOR_NOW = {"rollup_error", "rate_limited"}


class OpenSecret(Protocol):
    @property
    def value(self) -> str: ...
    @property
    def allowed_hosts(self) -> frozenset[str]: ...


class Secrets(Protocol):
    async def open(self, workspace: str, name: str) -> OpenSecret:
        """Raises SecretMissing."""
        ...


class Slack:
    def __init__(self, secrets: Secrets, poster: Poster) -> None:
        self._secrets = secrets
        self._poster = poster

    def draft(self, message: Any, occasion: Occasion) -> Draft:
        drawn = slack(message, occasion)
        told = {"blocks": len(drawn.blocks), "folded": drawn.folded}
        return Draft(payload=drawn.payload(), told=told)

    async def send(self, workspace: str, draft: Draft) -> str | None:
        """Why nothing was posted, where that is how the workspace wants it.

        What it raises does not hold the webhook's address: who knows that can post.
        """
        try:
            secret = await self._secrets.open(workspace, SECRET)
        except SecretMissing:
            return f"the workspace has no secret `{SECRET}`"
        url = secret.value.strip()
        try:
            target = parse_url(url)
        except ValueError as error:
            raise NotifyFailed(f"the secret `{SECRET}` is no web address: {error}") from None
        if not may_go_to(target, secret.allowed_hosts):
            raise SecretNotAllowed(
                f"the secret `{SECRET}` leads to a host that is not among its allowed hosts:"
                f" store it with `perdure secrets set {SECRET} --host hooks.slack.com`"
            )
        content = json.dumps(draft.payload, ensure_ascii=False).encode()
        try:
            answer = await self._poster.post(url, HEADERS, content, ANSWER_WITHIN, EXCERPT)
        except HttpFailedForNow as error:
            raise NotifyFailedForNow(f"Slack: {error.message}") from None
        except HttpFailed as error:
            raise NotifyFailed(f"Slack: {error.message}") from None
        if answer.status != 200:
            raise failure(answer)
        return None


def failure(answer: Posted) -> NotifyFailed:
    word = answer.excerpt.decode(errors="replace").strip()
    # Anything else may be a page, of Slack or of a proxy, and may hold what was sent.
    word = word if WORD.fullmatch(word) else ""
    message = f"Slack answered {answer.status}" + (f" {word}" if word else "")
    told: dict[str, Any] = {"status": answer.status, "slack": word or None}
    if answer.status >= 500 or answer.status in (408, 429) or word in FOR_NOW:
        pause = min(answer.retry_after, LONGEST_PAUSE) if answer.retry_after else None
        return NotifyFailedForNow(message, retry_after=pause, **told)
    if word in GONE:
        again = f"make a new one in Slack and store it as `{SECRET}`"
        return WebhookGone(f"{message}: the webhook is no longer there; {again}", **told)
    if word in CLOSED:
        return ChannelClosed(f"{message}: its channel takes no messages from here", **told)
    return MessageRefused(message, **told)
