from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

import httpx2
from temporalio.client import WorkflowHandle

from bench.handwritten import TASK_QUEUE
from bench.stack import Bench
from core.errors import Unavailable
from core.flow import ComputeStep, Flow
from core.run import RunOrigin, Workspace
from core.skill import Skill
from core.tool import Actor
from services.starter import Starter

Start = Callable[[], Awaitable[str]]
PATIENCE = 120.0


@dataclass(frozen=True)
class Pair:
    """The same measurement of a run of ours and of one written by hand, taken in turns."""

    ours: float
    by_hand: float

    @property
    def ratio(self) -> float:
        return self.ours / self.by_hand


class Runs:
    """Starts runs of `steps` steps that each echo a value."""

    def __init__(self, bench: Bench) -> None:
        self._client = bench.client
        self._starter = Starter(bench.client)

    async def ours(self, steps: int) -> str:
        run_id = f"bench-{uuid4().hex[:20]}"
        origin = RunOrigin(
            workspace=Workspace(id="demo", name="demo"),
            skill="bench",
            version="1",
            lineage=run_id,
            actor=Actor(kind="system", id="bench"),
        )
        await patiently(
            lambda: self._starter.start(run_id, origin, skill(steps), {"value": "x" * 100}, None)
        )
        return run_id

    async def by_hand(self, steps: int) -> str:
        run_id = f"hand-{uuid4().hex[:20]}"
        await self._client.start_workflow(
            "HandWritten", args=[steps, "x" * 100], id=run_id, task_queue=TASK_QUEUE
        )
        return run_id

    def handle(self, run_id: str) -> WorkflowHandle[object, object]:
        return self._client.get_workflow_handle(run_id)

    async def seconds(self, start: Start) -> float:
        """From the start's call to the result's arrival."""
        began = time.perf_counter()
        async with asyncio.timeout(PATIENCE):
            await self.handle(await start()).result()
        return time.perf_counter() - began

    async def latency(self, steps: int, count: int) -> Pair:
        ours: list[float] = []
        by_hand: list[float] = []
        for _ in range(count):
            ours.append(await self.seconds(lambda: self.ours(steps)))
            by_hand.append(await self.seconds(lambda: self.by_hand(steps)))
        return Pair(statistics.median(ours), statistics.median(by_hand))

    async def throughput(self, at_once: int, rounds: int) -> Pair:
        """Runs of three steps per second, all started at once."""
        ours: list[float] = []
        by_hand: list[float] = []
        for _ in range(rounds):
            ours.append(await self._rate(at_once, lambda: self.ours(3)))
            by_hand.append(await self._rate(at_once, lambda: self.by_hand(3)))
        return Pair(statistics.median(ours), statistics.median(by_hand))

    async def _rate(self, at_once: int, start: Start) -> float:
        began = time.perf_counter()
        await asyncio.gather(*(self.seconds(start) for _ in range(at_once)))
        return at_once / (time.perf_counter() - began)

    async def events(self, steps: int) -> Pair:
        lengths: list[int] = []
        for start in (self.ours, self.by_hand):
            handle = self.handle(await start(steps))
            await handle.result()
            lengths.append(len((await handle.fetch_history()).events))
        return Pair(*lengths)

    async def start_alone(self, count: int) -> float:
        """What Temporal itself takes to accept the start of such a run."""
        times: list[float] = []
        for _ in range(count):
            began = time.perf_counter()
            run_id = await self.ours(1)
            times.append(time.perf_counter() - began)
            await self.handle(run_id).result()
        return statistics.median(times)


async def patiently(start: Callable[[], Awaitable[None]]) -> None:
    """A gateway answers 503 rather than wait; here the wait is what is measured."""
    while True:
        try:
            return await start()
        except Unavailable:
            continue


def skill(steps: int) -> Skill:
    flow = Flow(
        inputs={"value": {"type": "string"}},
        steps=tuple(
            ComputeStep(
                id=f"s{number}",
                tool="echo",
                arguments={"value": f"${{{f'steps.s{number - 1}' if number else 'inputs.value'}}}"},
            )
            for number in range(steps)
        ),
    )
    return Skill(name="bench", description="echoes", instructions="", flow=flow)


async def gateway_start(bench: Bench, count: int) -> float:
    """A start over HTTP, on a connection that is kept."""
    url = f"{bench.url}/api/workspaces/demo/skills/hello/run"
    times: list[float] = []
    async with httpx2.AsyncClient(headers={"X-API-Key": bench.key}, trust_env=False) as client:
        for _ in range(count):
            began = time.perf_counter()
            answer = await client.post(url, json={"inputs": {}})
            times.append(time.perf_counter() - began)
            answer.raise_for_status()
            await bench.client.get_workflow_handle(answer.json()["run_id"]).result()
    return statistics.median(times)
