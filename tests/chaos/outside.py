"""The world that runs reach out to: it counts what it is asked, and fails or waits as told."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from tests.receiver import Received, Receiver, reply
from tests.waiting import until

if TYPE_CHECKING:
    from datetime import timedelta


@dataclass(frozen=True)
class Call:
    path: str
    at: float


class Outside:
    def __init__(self) -> None:
        self._receiver = Receiver(self._answer)
        self._open = asyncio.Event()
        self._open.set()
        self.calls: list[Call] = []
        self.answered: Counter[str] = Counter()
        self.broken: dict[str, bytes] = {}
        self.busy: dict[str, bytes] = {}
        self.silent: set[str] = set()
        self.pause = 0.0  # seconds before each answer
        self._held: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        await self._receiver.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open.set()
        await self._receiver.__aexit__()

    @property
    def base(self) -> str:
        return self._receiver.url().rstrip("/")

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._receiver.port}"

    @property
    def requests(self) -> list[Received]:
        return self._receiver.requests

    @property
    def counts(self) -> Counter[str]:
        return Counter(call.path for call in self.calls)

    @property
    def hung_up(self) -> asyncio.Event:
        """Set at the end of every exchange, whoever ended it."""
        return self._receiver.hung_up

    def hold(self, *prefixes: str) -> None:
        """Keeps who asks for such paths (all, if none is named) waiting, until `release`."""
        self._held = prefixes or ("/",)
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def reached(self, calls: int, within: timedelta | None = None) -> None:
        await until(lambda: len(self.calls) >= calls, *_seconds(within))

    def first_after(self, moment: float) -> float | None:
        return min((call.at for call in self.calls if call.at > moment), default=None)

    async def _answer(self, received: Received) -> bytes | None:
        path = urlsplit(received.target).path
        self.calls.append(Call(path, time.monotonic()))
        if path in self.silent:
            return None
        await asyncio.sleep(self.pause)
        if path.startswith(self._held):
            await self._open.wait()
        if path in self.broken:
            return reply(418, self.broken[path], content_type="text/plain")
        if path in self.busy:
            return reply(503, self.busy[path], content_type="text/plain")
        self.answered[path] += 1
        body = json.dumps({"asked": path}).encode()
        return reply(200, body, content_type="application/json")


def _seconds(within: timedelta | None) -> tuple[float, ...]:
    return () if within is None else (within.total_seconds(),)
