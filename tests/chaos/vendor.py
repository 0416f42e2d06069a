"""A provider that counts what it is asked, keeps who asks waiting, and loops as a test wants it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from llm.demo.server import open_server
from llm.demo.view import Call, Reply, View

if TYPE_CHECKING:
    from llm.demo.http import Answer, Request
    from llm.demo.server import DemoServer, Recorded

TURNS, WIDTH = 6, 3
BASE = re.compile(r"http://127\.0\.0\.1:\d+/(\w+)")
Holds = Callable[[str], bool]


def loops(view: View) -> Reply | None:
    """Five turns with three calls each, then an answer that says what they all gave."""
    found = BASE.search(view.asked)
    if found is None or not view.tools:
        return None
    turn = 1 + sum(1 for said in view.since_asked if said.calls)
    if turn < TURNS:
        urls = (f"{found[0]}/turn{turn}/{number}" for number in range(WIDTH))
        return Reply(calls=tuple(Call("http_request", {"url": url}) for url in urls))
    told = [json.loads(said.text)["body"]["asked"] for _, said in view.results]
    parts = [path.removeprefix(f"/{found[1]}") for path in told]
    return Reply(f"{len(parts)} results, {hashlib.sha256(json.dumps(parts).encode()).hexdigest()}")


class Vendor:
    """Both wires; a hold is asked with the body of each request before it is answered."""

    def __init__(self, demo: DemoServer) -> None:
        self.demo = demo
        self._respond = demo.respond
        self._holds: Holds = lambda _: False
        self._open = asyncio.Event()
        self.held: list[str] = []
        demo.respond = self._respond_when_open  # what the server looks up for each connection

    @property
    def environment(self) -> dict[str, str]:
        url = self.demo.url
        return {"ANTHROPIC_BASE_URL": url, "OPENAI_BASE_URL": f"{url}/v1"}

    def hold(self, holds: Holds) -> None:
        self._holds = holds
        self.held = []
        self._open.clear()

    def release(self) -> None:
        self._holds = lambda _: False
        self._open.set()

    def asked(self, words: str) -> list[Recorded]:
        """The requests whose body has these words."""
        return [each for each in self.demo.requests if words in json.dumps(each.body)]

    @staticmethod
    def digest(key: str) -> str:
        """How a key is told by the requests that came with it."""
        return hashlib.sha256(key.encode()).hexdigest()[:24]

    def repeats(self, words: str) -> Counter[int]:
        """How many requests came so often."""
        return Counter(Counter(each.digest for each in self.asked(words)).values())

    async def _respond_when_open(self, request: Request, answer: Answer) -> None:
        body = request.body.decode(errors="replace")
        if self._holds(body):
            self.held.append(body)
            await self._open.wait()
        await self._respond(request, answer)


def turn_of(body: str) -> int:
    """Which turn of a loop this request asks for."""
    said: list[dict[str, Any]] = json.loads(body)["messages"]
    return 1 + sum(1 for each in said if each["role"] == "assistant")


@asynccontextmanager
async def open_vendor() -> AsyncGenerator[Vendor]:
    async with open_server(handlers=(loops,), record="bodies") as demo:
        yield Vendor(demo)
