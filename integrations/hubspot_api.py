"""HubSpot's API as JSON in and out; whatever goes wrong there has a name here."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import httpcore2
import httpx2

from core.errors import (
    SourceBusy,
    SourceError,
    SourceForbidden,
    SourceRefused,
    SourceRejected,
    SourceUnavailable,
    SourceUnreadable,
)
from integrations.hubspot_fields import dicts
from outbound import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outbound import Outbound

SECONDS_PER_REQUEST = 60
MAX_BODY = 64 * 1024 * 1024  # 200 emails of the largest size that HubSpot keeps
SEARCH_PAUSE = timedelta(seconds=1)  # searches have a limit per second, and tell it in no header
ROLLING_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=24)
# The associations that a record does not have are told as errors, beside the others' results.
NOTHING_THERE = re.compile("NO_ASSOCIATIONS_FOUND|OBJECT_NOT_FOUND", re.IGNORECASE)
SCOPES = ("requiredGranularScopes", "requiredScopes", "missingScopes")
UNANSWERED = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpx2.DecodingError,
)

Json = dict[str, Any]


class HubSpotAPI:
    def __init__(self, outbound: Outbound, base_url: str, token: str) -> None:
        self._outbound = outbound
        self._base = httpx2.URL(base_url.rstrip("/"))
        # A secret that was stored from a file ends in a line break that nobody meant.
        self._token = token.strip()
        if not re.fullmatch(r"[\x21-\x7e]+", self._token):
            raise SourceRefused("HubSpot's token is empty, or holds what no token does")
        self.time_zone = ZoneInfo("UTC")

    async def get(self, path: str, **parameters: str) -> Json:
        return await self._ask("GET", path, parameters, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> Json:
        return await self._ask("POST", path, {}, json.dumps(body).encode())

    async def batch(self, path: str, body: Mapping[str, Any]) -> list[Json]:
        """The results of a batch; what it does not find is left out, as HubSpot does."""
        answer = await self.post(path, body)
        for error in listed(answer.get("errors", []), path):
            if not NOTHING_THERE.search(f"{error.get('subCategory')} {error.get('category')}"):
                said = self._said(error)
                raise SourceUnavailable(f"HubSpot answered {path} only in part: {said}")
        return results(answer, path)

    async def _ask(
        self, method: str, path: str, parameters: Mapping[str, str], content: bytes | None
    ) -> Json:
        url = self._base.copy_with(path=self._base.path.rstrip("/") + path).copy_merge_params(
            parameters
        )
        headers = httpx2.Headers(
            {
                "authorization": f"Bearer {self._token}",
                "accept": "application/json",
                "accept-encoding": "gzip, deflate",
            }
        )
        if content is not None:
            headers["content-type"] = "application/json"
        try:
            async with (
                asyncio.timeout(SECONDS_PER_REQUEST),
                self._outbound.send(method, url, headers, content) as response,
            ):
                return self._judged(response, path, await _body(response, path))
        except TimeoutError as error:
            raise SourceUnavailable(
                f"HubSpot did not answer {path} within {SECONDS_PER_REQUEST} s"
            ) from error
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            raise SourceUnavailable("HubSpot could not be reached") from error
        except UNANSWERED as error:
            raise SourceUnavailable(f"HubSpot broke off its answer to {path}") from error

    def _judged(self, response: httpx2.Response, path: str, body: bytes) -> Json:
        status = response.status_code
        try:
            answer: Any = json.loads(body)
        except ValueError:
            answer = None
        if status >= 300:
            raise self._failure(response, path, answer if isinstance(answer, dict) else {})
        if not isinstance(answer, dict):
            raise SourceUnreadable(f"HubSpot answered {path} with what is no JSON object")
        return answer

    def _failure(self, response: httpx2.Response, path: str, answer: Json) -> SourceError:
        status, said = response.status_code, self._said(answer)
        match status:
            case 401:
                return SourceRefused(f"HubSpot: the token was refused: {said}", status=status)
            case 403:
                scopes = sorted(_scopes(answer))
                needs = f"; it needs the scope {' or '.join(scopes)}" if scopes else f": {said}"
                return SourceForbidden(
                    f"HubSpot: the token may not read {path}{needs}", status=status, scopes=scopes
                )
            case 429:
                policy = str(answer.get("policyName", ""))[:100]
                return SourceBusy(
                    f"HubSpot is asked too often: {said}",
                    retry_after=self._pause(response, path, policy),
                    status=status,
                    policy=policy,
                )
            # 477: the account is being moved to another region; 423: locked for a moment.
            case status if status >= 500 or status in (408, 423, 477):
                wait = _retry_after(response)
                return SourceUnavailable(
                    f"HubSpot answered {path} with {status}", retry_after=wait, status=status
                )
            case _:
                return SourceRejected(
                    f"HubSpot rejected {path} with {status}: {said}", status=status
                )

    def _pause(self, response: httpx2.Response, path: str, policy: str) -> timedelta:
        told = _retry_after(response)
        if told is not None:
            return told
        if policy == "DAILY":
            return self._until_midnight()
        interval = response.headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
        if interval.isascii() and interval.isdigit():
            return min(timedelta(milliseconds=int(interval[:9])), LONGEST_PAUSE)
        return SEARCH_PAUSE if path.endswith("/search") else ROLLING_PAUSE

    def _until_midnight(self) -> timedelta:
        """A daily limit begins anew at midnight in the account's own time zone."""
        now = datetime.now(UTC).astimezone(self.time_zone)
        midnight = datetime.combine(
            now.date() + timedelta(days=1), datetime.min.time(), self.time_zone
        )
        return midnight.astimezone(UTC) - now.astimezone(UTC)

    def _said(self, answer: Json) -> str:
        said = str(answer.get("message") or answer.get("category") or "nothing more is said")
        return said.replace(self._token, "[the token]")[:500]


def results(answer: Json, path: str) -> list[Json]:
    return listed(answer.get("results"), path)


def listed(value: Any, path: str) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise SourceUnreadable(f"HubSpot answered {path} without the list that belongs there")
    return value


def next_page(answer: Json) -> str | None:
    """Where this list goes on."""
    match answer.get("paging"):
        case {"next": {"after": str() | int() as after}}:
            return str(after)
        case _:
            return None


async def _body(response: httpx2.Response, path: str) -> bytes:
    content = bytearray()
    async with aclosing(response.aiter_bytes()) as parts:
        async for part in parts:
            content += part
            if len(content) > MAX_BODY:
                raise SourceUnreadable(f"HubSpot answered {path} with more than 64 MiB")
    return bytes(content)


def _scopes(answer: Json) -> set[str]:
    found: set[str] = set()
    for error in dicts(answer.get("errors")):
        for context in dicts([error.get("context")]):
            for name in SCOPES:
                # A list, or the words of one.
                found |= set(re.findall(r"[a-z][\w.-]{2,99}", str(context.get(name) or "")))
    return found


def _retry_after(response: httpx2.Response) -> timedelta | None:
    return retry_after(response.headers.get("retry-after"), datetime.now(UTC), LONGEST_PAUSE)
