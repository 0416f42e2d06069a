"""Loops of a model and its tools, beside the same loop written by hand."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import anthropic
import httpx2

from bench.handwritten import TASK_QUEUE
from bench.measure import Pair, patiently
from bench.stack import Bench
from core.flow import Flow, ReasonStep
from core.llm import ModelQuestion, UserTurn
from core.run import RunOrigin, Workspace
from core.skill import Skill
from core.tool import Actor
from llm.providers import DEMO_KEY, ProviderSettings, open_providers
from services.starter import Starter

LOOP = "fake-loop-6x3"
TURNS = 7  # six with tools, one that answers
PATIENCE = 300.0
ASKED = "Look at everything."
QUESTION = ModelQuestion(model="demo/fake-plain", turns=(UserTurn(text=ASKED),))


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
        step = ReasonStep(id="think", prompt=ASKED, model=f"demo/{model}", tools=("echo",))
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

    async def a_run_of_one_call(self, count: int) -> Pair:
        """Milliseconds: of a whole run that asks once, and of the bare library alone."""
        ours = [await _timed(self._whole_run()) for _ in range(count)]
        return Pair(statistics.median(ours), (await self.a_call(count)).by_hand)

    async def a_call(self, count: int) -> Pair:
        """Milliseconds: through our adapter, and through the vendor's library, turn by turn."""
        url = self._bench.demo_url
        library = anthropic.AsyncAnthropic(base_url=url, api_key=DEMO_KEY, max_retries=0)
        ours: list[float] = []
        bare: list[float] = []
        async with open_providers(ProviderSettings(demo_url=url)) as providers:
            for _ in range(count):
                ours.append(await _timed(providers["demo"].ask(QUESTION, DEMO_KEY)))
                bare.append(await _timed(_create(library)))
        return Pair(statistics.median(ours), statistics.median(bare))

    async def _whole_run(self) -> None:
        await self._ended(await self._ours("fake-plain"))


async def _timed(work: Coroutine[Any, Any, object]) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000


async def _create(library: anthropic.AsyncAnthropic) -> None:
    await library.messages.create(
        model="fake-plain",
        max_tokens=QUESTION.max_tokens,
        messages=[{"role": "user", "content": ASKED}],
        timeout=60,
    )
