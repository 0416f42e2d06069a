"""The revenue skills over the demo company: what a run takes beyond the answers of the models."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from dev.demo.load import DemoSource, today
from dev.workspace import ID, client_of
from perdure.client import Client

if TYPE_CHECKING:
    from datetime import datetime

    from bench.stack import Bench
    from perdure.run import Run

SKILLS = ("pipeline-hygiene", "deal-risk-review", "weekly-recap")
# As long as a real model takes for a short answer at least.
MODEL = "demo/fake-slow-1s"
Span = tuple["datetime", "datetime"]


async def beyond_the_model(bench: Bench, times: int) -> dict[str, dict[str, float]]:
    async with client_of(bench.url, bench.key) as http:
        await DemoSource(http, ID).load(today())
    async with Client(bench.url, bench.key, ID) as client:
        for capability in ("extract", "reason"):
            await client.llm.route(capability, [MODEL])
        try:
            return {skill: await _measured(client, skill, times) for skill in SKILLS}
        finally:
            for capability in ("extract", "reason"):
                await client.llm.route(capability, None)


async def _measured(client: Client, skill: str, times: int) -> dict[str, float]:
    await client.run(skill)  # warm
    runs = [await client.run(skill) for _ in range(times)]
    took = statistics.median([_seconds(run) for run in runs])
    asked = statistics.median([covered(await _answers(client, run)) for run in runs])
    return {"run, s": took, "models, s": asked, "beyond, s": took - asked, "ratio": took / asked}


def _seconds(run: Run) -> float:
    assert run.status == "succeeded", run.error
    assert run.started_at
    assert run.completed_at
    return (run.completed_at - run.started_at).total_seconds()


async def _answers(client: Client, run: Run) -> list[Span]:
    return [
        (event.at - timedelta(milliseconds=event.data["latency_ms"]), event.at)
        async for event in client.runs.log(run.run_id)
        if event.kind == "model.called"
    ]


def covered(spans: Iterable[Span]) -> float:
    """Seconds in which at least one of them was under way."""
    seconds, until = 0.0, None
    for begin, end in sorted(spans):
        begin = begin if until is None else max(begin, until)
        seconds += max((end - begin).total_seconds(), 0.0)
        until = end if until is None else max(until, end)
    return seconds
