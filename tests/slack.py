"""Slack's incoming webhooks, as strict as its documentation: what breaks a rule is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tests.receiver import Received, Receiver, reply

MOST_BLOCKS = 50
LONGEST_FALLBACK = 40_000
MOST_IN_ALL = 13_200
LONGEST_URL = 3_000
# Of &, < and > only what is marked up may be there: links, never mentions.
LINK = re.compile(r"<https?://[^\s<>|]+\|[^<>\n]+>")
ENTITY = re.compile(r"&(amp|lt|gt);")
PARSED = re.compile(r"@(channel|here|everyone|group)\b", re.IGNORECASE)


class Broken(Exception):
    """The rule that a message breaks."""


class Slack(Receiver):
    """`posted` are the messages it took; `answers` come first, one for each request."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__(self._answer)
        self.posted: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self._answers = list(answers)

    @property
    def webhook(self) -> str:
        return self.url("/services/T000/B000/unguessable")

    async def _answer(self, received: Received) -> bytes:
        if received.target != "/services/T000/B000/unguessable":
            return reply(404, b"no_service")
        if self._answers:
            return self._answers.pop(0)
        try:
            message = read(received)
        except Broken as broken:
            self.refused.append(str(broken))
            return reply(400, b"invalid_blocks")
        self.posted.append(message)
        return reply(200, b"ok")


def read(received: Received) -> dict[str, Any]:
    _require(received.method == "POST", "POST")
    kind = received.headers.get("content-type", "")
    _require(kind.startswith("application/json"), "a body of JSON")
    message = json.loads(received.body)
    check(message)
    return message


def check(message: dict[str, Any]) -> None:
    """Raises Broken."""
    _only(message, "text", "blocks")
    text = message.get("text", "")
    _require(isinstance(text, str) and text != "", "a text, which notifications show")
    _require(size(text) <= LONGEST_FALLBACK, "a text of 40,000 characters")
    _markup(text)
    _require(not PARSED.search(text), "no @channel outside of blocks")
    blocks = message.get("blocks", [])
    _require(isinstance(blocks, list) and len(blocks) <= MOST_BLOCKS, "at most 50 blocks")
    for block in blocks:
        _require(block.get("type") in BLOCKS, "a known type of block")
        _require(len(block.get("block_id", "")) <= 255, "a block_id of 255 characters")
        BLOCKS[block["type"]](block)
    named = [block["block_id"] for block in blocks if "block_id" in block]
    _require(len(set(named)) == len(named), "block_ids that differ")
    _require(size(json.dumps(blocks, ensure_ascii=False)) <= MOST_IN_ALL, "blocks that fit")


def size(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _header(block: dict[str, Any]) -> None:
    _only(block, "type", "block_id", "text")
    _text(block["text"], "plain_text", 150)


def _section(block: dict[str, Any]) -> None:
    _only(block, "type", "block_id", "text", "fields", "accessory", "expand")
    _require("text" in block or "fields" in block, "a section with text or fields")
    if "text" in block:
        _text(block["text"], "any", 3_000)
    fields = block.get("fields", [None])
    _require(0 < len(fields) <= 10, "1 to 10 fields")
    for field in block.get("fields", ()):
        _text(field, "any", 2_000)


def _divider(block: dict[str, Any]) -> None:
    _only(block, "type", "block_id")


def _context(block: dict[str, Any]) -> None:
    _only(block, "type", "block_id", "elements")
    _require(0 < len(block["elements"]) <= 10, "1 to 10 elements of a context")
    for element in block["elements"]:
        _text(element, "any", 3_000)


def _actions(block: dict[str, Any]) -> None:
    _only(block, "type", "block_id", "elements")
    _require(0 < len(block["elements"]) <= 25, "1 to 25 elements of actions")
    for button in block["elements"]:
        _only(button, "type", "text", "action_id", "url", "value", "style")
        _require(button["type"] == "button", "a button")
        _text(button["text"], "plain_text", 75)
        url = button.get("url", "https://example.com")
        parts = urlsplit(url)
        _require(parts.scheme in ("http", "https") and bool(parts.hostname), "an absolute url")
        _require(len(url) <= LONGEST_URL and not re.search(r"\s", url), "a url of 3,000 characters")


BLOCKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "header": _header,
    "section": _section,
    "divider": _divider,
    "context": _context,
    "actions": _actions,
}


def _text(text: Any, kind: str, longest: int) -> None:
    _require(isinstance(text, dict), "a text object")
    allowed = ("type", "text", "verbatim") if text.get("type") == "mrkdwn" else ("type", "text")
    _only(text, *allowed, *(("emoji",) if text.get("type") == "plain_text" else ()))
    _require(text["type"] in ("plain_text", "mrkdwn"), "plain_text or mrkdwn")
    _require(kind in ("any", text["type"]), f"{kind}")
    _require(0 < size(text["text"]) <= longest, f"1 to {longest:,} characters")
    _require(text["text"].strip() != "", "more than spaces")
    if text["type"] == "mrkdwn":
        _markup(text["text"])
        _require(text.get("verbatim") is True or not PARSED.search(text["text"]), "no mention")


def _markup(text: str) -> None:
    rest = LINK.sub("", text)
    _require("<" not in rest and ">" not in rest, f"no mark but links in {rest[:200]!r}")
    _require("&" not in ENTITY.sub("", rest), f"no & that is no entity in {rest[:200]!r}")


def _only(value: dict[str, Any], *known: str) -> None:
    _require(set(value) <= set(known), f"nothing but {', '.join(known)}")


def _require(kept: bool, rule: str) -> None:
    if not kept:
        raise Broken(rule)
