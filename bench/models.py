"""Loops of a model and its tools, beside the same loop written by hand."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from uuid import uuid4

import anthropic
import httpx2

from bench.handwritten import TASK_QUEUE
from bench.measure import Pair, patiently
from bench.stack import Bench
from core.flow import Flow, ReasonStep
from core.run import RunOrigin, Workspace
from core.skill import Skill
from core.tool import Actor
from services.starter import Starter

LOOP = "fake-loop-6x3"
TURNS = 7  # six with tools, one that answers
PATIENCE = 300.0


@dataclass(frozen=True)
class Loops:
    seconds: Pair
    memory_mb: Pair


class Models:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._client = bench.client
        self._starter = Starter(bench.client)
        self._version = ""

    async def _known_version(self) -> str:
        """A model is told the body of a real SKILL.md."""
        if not self._version:
            url = f"{self._bench.url}/api/workspaces/demo/skills/hello"
            async with httpx2.AsyncClient(trust_env=False) as client:
                answer = await client.get(url, headers={"X-API-Key": self._bench.key})
            self._version = answer.raise_for_status().json()["version"]
        return self._version

    async def _ours(self, model: str) -> str:
        run_id = f"loop-{uuid4().hex[:20]}"
        origin = RunOrigin(
            workspace=Workspace(id="demo", name="demo"),
            skill="hello",
            version=await self._known_version(),
            lineage=run_id,
            actor=Actor(kind="system", id="bench"),
            allowed_tools=("echo",),
        )
        step = ReasonStep(
            id="think", prompt="Look at everything.", model=f"demo/{model}", tools=("echo",)
        )
        skill = Skill(name="hello", description="", instructions="", flow=Flow(steps=(step,)))
        await patiently(lambda: self._starter.start(run_id, origin, skill, {}, None))
        return run_id

    async def _by_hand(self, model: str) -> str:
        run_id = f"handloop-{uuid4().hex[:20]}"
        await self._client.start_workflow("HandLoop", model, id=run_id, task_queue=TASK_QUEUE)
        return run_id

    async def _ended(self, run_id: str) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._client.get_workflow_handle(run_id).result()

    async def at_once(self, count: int, model: str) -> Loops:
        """There and back: Temporal grows slower with each history, whoever wrote it."""
        ours = (self._ours, self._bench.memory.ours)
        by_hand = (self._by_hand, self._bench.memory.by_hand)
        seconds = {ours: 0.0, by_hand: 0.0}
        memory = {ours: 0.0, by_hand: 0.0}
        for side in (ours, by_hand, by_hand, ours):
            start, pid = side
            began = time.perf_counter()
            runs = await asyncio.gather(*(start(model) for _ in range(count)))
            await asyncio.gather(*(self._ended(run) for run in runs))
            seconds[side] += (time.perf_counter() - began) / 2
            memory[side] = max(memory[side], self._bench.memory.of(pid))
        return Loops(Pair(seconds[ours], seconds[by_hand]), Pair(memory[ours], memory[by_hand]))

    async def a_call(self, count: int) -> Pair:
        """Milliseconds of one turn: in our loop, and of the bare SDK alone."""
        ours: list[float] = []
        for _ in range(count):
            began = time.perf_counter()
            await self._ended(await self._ours("fake-plain"))
            ours.append((time.perf_counter() - began) * 1000)
        client = anthropic.AsyncAnthropic(
            base_url=self._bench.demo_url, api_key="demo-key", max_retries=0
        )
        bare: list[float] = []
        for _ in range(count):
            began = time.perf_counter()
            await client.messages.create(
                model="fake-plain",
                max_tokens=4096,
                messages=[{"role": "user", "content": "Look at everything."}],
                timeout=60,
            )
            bare.append((time.perf_counter() - began) * 1000)
        return Pair(statistics.median(ours), statistics.median(bare))
