"""An installation as its user has it: a client, and processes that can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from perdure.client import Client
from perdure.errors import Refused
from perdure.skill import Bundle
from tests.waiting import LOOK_EVERY, WITHIN, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from perdure.run import LogEvent, Run
    from tests.acceptance.installation import Installation

NOT_BEGUN = 404
ENOUGH = 100
Process = Literal["postgres", "temporal", "gateway", "worker"]


@dataclass(frozen=True)
class Installed:
    installation: Installation
    client: Client

    @staticmethod
    def of(installation: Installation) -> Installed:
        found = installation.credentials()
        client = Client(found["url"], found["workspace_key"], found["workspace_id"])
        return Installed(installation, client)

    @asynccontextmanager
    async def new_workspace(self) -> AsyncGenerator[Installed]:
        """The same installation, seen by a workspace of this test's own."""
        found = self.installation.credentials()
        place = f"w-{uuid4().hex[:12]}"
        async with Client(found["url"], found["admin_key"], place, access="admin") as admin:
            await admin.workspaces.create("Another", workspace_id=place)
            key = await admin.keys.create("test", ["read", "run", "approve", "manage"])
        async with Client(found["url"], key.key, place) as client:
            yield Installed(self.installation, client)

    async def push(self, flow: str, body: str = "", **more: str) -> str:
        """A skill of this test's own."""
        return await self.push_as(f"t-{uuid4().hex[:12]}", flow, body, **more)

    async def push_as(self, name: str, flow: str, body: str = "", **more: str) -> str:
        head = {"name": name, "description": "What a test runs.", **more}
        lines = "\n".join(f"{key.replace('_', '-')}: {value}" for key, value in head.items())
        files = {"SKILL.md": f"---\n{lines}\n---\n{body}".encode(), "flow.yaml": flow.encode()}
        await self.client.skills.push(Bundle(name=name, files=files))
        return name

    async def start(self, skill: str, **inputs: Any) -> str:
        return (await self.client.skills.run(skill, inputs)).run_id

    async def run(self, skill: str, **inputs: Any) -> Run:
        return await self.client.run(skill, inputs)

    async def log(self, run_id: str, step: str | None = None) -> list[LogEvent]:
        return [event async for event in self.client.runs.log(run_id, step)]

    async def finished(self, run_id: str, batch: str | None = None) -> set[str]:
        """The paths of the steps that the run has behind it."""
        return {
            event.step
            for event in await self.log(run_id, batch)
            if event.kind == "step.finished" and event.step
        }

    async def status(self, run_id: str, status: str) -> Run:
        """The run once it has this status."""
        async with asyncio.timeout(WITHIN):
            while (run := await self.client.runs.get(run_id)).status != status:
                assert not run.has_ended, run
                await asyncio.sleep(LOOK_EVERY)
        return run

    async def has_done_much(self, run_id: str, batch: str) -> None:
        """Waits until the batch is well under way."""
        async with asyncio.timeout(WITHIN):
            while True:
                try:
                    if len(await self.finished(run_id, batch)) >= ENOUGH:
                        return
                except Refused as refused:
                    if refused.status != NOT_BEGUN:
                        raise
                await asyncio.sleep(LOOK_EVERY)

    async def kill(self, name: Process) -> Death:
        """As hard as the system can."""
        told = self._returns(name)
        os.kill(self.installation.pid(name), signal.SIGKILL)
        return Death(time.monotonic(), lambda: self._returns(name) > told)

    def _returns(self, name: Process) -> int:
        return self.installation.screen().count(f"{name} is back")


@dataclass(frozen=True)
class Death:
    at: float
    _is_over: Callable[[], bool]

    async def over(self) -> float:
        """The moment its supervisor had it back."""
        await until(self._is_over)
        return time.monotonic()


def kinds(events: list[LogEvent]) -> Counter[str]:
    return Counter(event.kind for event in events)
