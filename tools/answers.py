"""What came back over HTTP, as JSON values."""

from __future__ import annotations

import asyncio
import base64
import codecs
import re
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from email.message import Message
from typing import TYPE_CHECKING, Any

import httpcore2
import httpx2
from pydantic_core import from_json

from core.errors import HttpFailed, HttpFailedForNow, ValueTooLarge
from outbound import retry_after

if TYPE_CHECKING:
    from tools.redaction import Redaction

MAX_BODY = 1024 * 1024
EXCERPT = 2048
EXCERPT_SECONDS = 5
FOR_NOW = {408, 425, 429}
READABLE_ENCODINGS = {"", "identity", "gzip", "deflate"}
JSON = re.compile(r"(application|text)/([\w.-]+\+)?json")
TEXT = re.compile(
    r"text/.+|.+\+(xml|yaml|json-seq)"
    r"|application/(xml|yaml|x-yaml|javascript|x-javascript|x-www-form-urlencoded"
    r"|x-ndjson|ndjson|jsonl|jsonlines|graphql|sql|toml|csv)"
)
# Codecs of Python that are no charsets of the web; `idna` takes quadratic time.
NOT_CHARSETS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf-7", "undefined"}


async def read(response: httpx2.Response, what: str, redaction: Redaction) -> dict[str, Any]:
    """Status, headers and body of a success; raises HttpFailed for a status of 400 and above."""
    if response.status_code >= 400:
        raise await _failure(response, what, redaction)
    content = redaction.of_bytes(await _content(response, what))
    headers = {name: redaction.of_text(value) for name, value in response.headers.items()}
    return {
        "status": response.status_code,
        "headers": headers,
        **_parsed(content, response.headers.get("content-type", "")),
    }


async def _content(response: httpx2.Response, what: str) -> bytes:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    # Several layers are refused too: a bomb in a bomb could keep a thread busy for minutes.
    if encoding not in READABLE_ENCODINGS:
        raise HttpFailed(f"{what} answered in the content-encoding {encoding[:40]!r}")
    content = bytearray()
    async with aclosing(response.aiter_bytes()) as parts:
        async for part in parts:
            content += part
            if len(content) > MAX_BODY:
                raise ValueTooLarge(f"{what} answered with more than 1 MiB", limit=MAX_BODY)
    return bytes(content)


async def _failure(response: httpx2.Response, what: str, redaction: Redaction) -> HttpFailed:
    status = response.status_code
    reason = httpx2.codes.get_reason_phrase(status)
    message = f"{what} answered {status} {reason}".rstrip()
    body = await _excerpt(response, redaction)
    if status < 500 and status not in FOR_NOW:
        return HttpFailed(message, status=status, body=body)
    wait = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
    return HttpFailedForNow(message, retry_after=wait, status=status, body=body)


async def _excerpt(response: httpx2.Response, redaction: Redaction) -> str:
    if response.headers.get("content-encoding", "").strip().lower() not in READABLE_ENCODINGS:
        return ""
    # Cut after hiding, so that no secret is told by its first half.
    enough = EXCERPT + redaction.longest
    content = bytearray()
    # The status is the news; a body that breaks off or never ends must not change it.
    with suppress(TimeoutError, httpx2.HTTPError, httpcore2.NetworkError, httpcore2.ProtocolError):
        async with asyncio.timeout(EXCERPT_SECONDS), aclosing(response.aiter_bytes()) as parts:
            async for part in parts:
                content += part[: enough - len(content)]
                if len(content) >= enough:
                    break
    return redaction.of_bytes(bytes(content))[:EXCERPT].decode(errors="replace")


def _parsed(content: bytes, content_type: str) -> dict[str, Any]:
    if not content:
        return {"body": None}
    kind = Message()
    kind["content-type"] = content_type or "text/plain"
    media_type = kind.get_content_type()
    if JSON.fullmatch(media_type):
        # Not valid after all (or NaN, a lone surrogate, 200 levels deep): then it is text.
        with suppress(ValueError):
            return {"body": from_json(content, allow_inf_nan=False)}
    charset = kind.get_content_charset()
    if charset or JSON.fullmatch(media_type) or TEXT.fullmatch(media_type):
        return {"body": content.decode(_codec(charset), errors="replace")}
    return {"body": base64.b64encode(content).decode(), "encoding": "base64"}


def _codec(charset: str | None) -> str:
    try:
        name = codecs.lookup(charset or "utf-8").name
        "".encode(name)
    except LookupError:  # unknown, or one that does not make text, such as zip
        return "utf-8"
    return "utf-8" if name in NOT_CHARSETS else name
