"""A strict HubSpot on loopback, with its limits, and with trouble where a test wants it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.hubspot.api import API
from tests.hubspot.crm import CRM
from tests.receiver import Received, Receiver, reply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

TOKEN = "pat-eu1-11111111-2222-3333-4444-555555555555"

# Given a request and the answer to it, what is sent instead; None sends the answer.
Trouble = Callable[[Received, bytes], bytes | None]


@dataclass
class HubSpotServer:
    crm: CRM
    api: API
    per_ten_seconds: int = 100
    searches_per_second: int = 5
    trouble: Trouble = lambda received, answer: None
    # Told of each request before it is answered, so that the world can change meanwhile.
    meanwhile: Callable[[Received], None] = lambda received: None
    pause: float = 0.0  # seconds before each answer
    requests: list[Received] = field(default_factory=list[Received])
    troubles: Counter[str] = field(default_factory=Counter[str])
    port: int = 0
    _calls: deque[float] = field(default_factory=deque[float])
    _searches: deque[float] = field(default_factory=deque[float])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def respond(self, received: Received) -> bytes:
        self.requests.append(received)
        await asyncio.sleep(self.pause)
        searches = urlsplit(received.target).path.endswith("/search")
        if searches and _exceeds(self._searches, self.searches_per_second, 1.0):
            return too_many("SECONDLY")
        if _exceeds(self._calls, self.per_ten_seconds, 10.0):
            left = 10.0 - (monotonic() - self._calls[0])
            return too_many("TEN_SECONDLY_ROLLING", interval=max(left, 0.001))
        self.meanwhile(received)
        status, answer = self.api.answer(received)
        headers = {} if searches else self._headers()
        content = json.dumps(answer).encode()
        sent = reply(status, content, content_type="application/json;charset=utf-8", **headers)
        instead = self.trouble(received, sent)
        return sent if instead is None else instead

    def paths(self) -> Counter[str]:
        return Counter(urlsplit(each.target).path for each in self.requests)

    def _headers(self) -> dict[str, str]:
        return {
            "x_hubspot_ratelimit_max": str(self.per_ten_seconds),
            "x_hubspot_ratelimit_remaining": str(self.per_ten_seconds - len(self._calls)),
            "x_hubspot_ratelimit_interval_milliseconds": "10000",
        }


@asynccontextmanager
async def open_hubspot(crm: CRM | None = None) -> AsyncGenerator[HubSpotServer]:
    crm = crm or CRM()
    server = HubSpotServer(crm, API(crm, TOKEN))
    async with Receiver(server.respond) as receiver:
        server.port = receiver.port
        yield server


def too_many(policy: str, *, interval: float | None = None, **headers: str) -> bytes:
    if interval is not None:
        headers["x_hubspot_ratelimit_interval_milliseconds"] = str(int(interval * 1000))
        headers["x_hubspot_ratelimit_remaining"] = "0"
    body = {
        "status": "error",
        "message": f"You have reached your {policy.lower()} limit.",
        "errorType": "RATE_LIMIT",
        "policyName": policy,
    }
    return reply(429, json.dumps(body).encode(), content_type="application/json", **headers)


def cut(answer: bytes) -> bytes:
    """The connection breaks in the middle of the body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n" + body[: len(body) // 2]


TROUBLES: dict[str, Callable[[bytes], bytes]] = {
    "429": lambda _: too_many("TEN_SECONDLY_ROLLING", interval=0.1),
    "500": lambda _: reply(500, b'{"status": "error", "message": "internal error"}'),
    "502": lambda _: reply(502, b"<html>Bad Gateway</html>", content_type="text/html"),
    "503": lambda _: reply(503, b""),
    "504": lambda _: reply(504, b"<html>A timeout occurred</html>"),
    "cut": cut,
    "silence": lambda _: b"",
    "garbage": lambda _: reply(200, b"<html>Please log in</html>", content_type="text/html"),
    "half": lambda _: reply(
        200, b'{"results": [{"id": "1", "prop', content_type="application/json"
    ),
    "empty": lambda _: reply(200, b"{}", content_type="application/json"),
}


def at_random(server: HubSpotServer, random: Random, share: float) -> Trouble:
    def trouble(received: Received, answer: bytes) -> bytes | None:
        if random.random() >= share:
            return None
        kind = random.choice(list(TROUBLES))
        server.troubles[kind] += 1
        return TROUBLES[kind](answer)

    return trouble


def _exceeds(calls: deque[float], most: int, seconds: float) -> bool:
    now = monotonic()
    while calls and calls[0] <= now - seconds:
        calls.popleft()
    if len(calls) >= most:
        return True
    calls.append(now)
    return False
