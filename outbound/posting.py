"""One message to somebody else's address, of whose answer the status counts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpcore2
import httpx2

from core.errors import HttpFailed, HttpFailedForNow
from outbound.connections import Outbound
from outbound.retries import retry_after
from outbound.urls import parse_url

LONGEST_WAIT = timedelta(days=1)


@dataclass(frozen=True)
class Posted:
    """`retry_after` is what the other side asked for, up to a day; `excerpt` how it began."""

    status: int
    retry_after: timedelta | None = None
    excerpt: bytes = b""


class Poster:
    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        content: bytes,
        within: timedelta,
        excerpt: int = 0,
    ) -> Posted:
        """Whatever the status; HttpFailedForNow where none came. No redirect is followed.

        What it raises does not repeat the URL, whose path may be a secret.
        """
        try:
            target = parse_url(url)
        except ValueError as error:
            raise HttpFailed(str(error)) from None
        try:
            async with (
                asyncio.timeout(within.total_seconds()),
                self._outbound.send("POST", target, httpx2.Headers(headers), content) as answer,
            ):
                now = datetime.now(UTC)
                wait = retry_after(answer.headers.get("retry-after"), now, LONGEST_WAIT)
                return Posted(answer.status_code, wait, await _beginning(answer, excerpt))
        except (TimeoutError, httpcore2.ReadTimeout, httpcore2.WriteTimeout) as error:
            raise HttpFailedForNow(f"no answer within {within.total_seconds():g} s") from error
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            raise HttpFailedForNow("it could not be reached") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise HttpFailedForNow("it broke off, or did not answer in HTTP") from error


async def _beginning(answer: httpx2.Response, most: int) -> bytes:
    found = b""
    if most:
        async with aclosing(answer.aiter_bytes()) as parts:
            async for part in parts:
                found += part
                if len(found) >= most:
                    break
    return found[:most]
