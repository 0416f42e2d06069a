"""Live across broken connections, at the end, from two readers: the same events, each once."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from core.effects import PAUSE, RESUME
from core.event import LogEvent
from services.history import Histories
from store.attempts import Attempts
from store.runs import Runs
from store.sealing import Keyring
from tests.kernel import KEYS, Kernel
from tests.workflow.continuing import Continuing
from tests.workflow.flows import QUICK, flow, watched

BY = {"actor": {"kind": "user", "id": "tester"}}
FLOWS = 10
RECONNECTS = 10


def random_flow(chance: random.Random) -> dict[str, Any]:
    names = (f"s{number}" for number in range(1_000))
    return flow(*some(chance, names, depth=0))


def some(chance: random.Random, names: Any, depth: int) -> list[dict[str, Any]]:
    return [a_step(chance, names, depth) for _ in range(chance.randint(1, 4))]


def a_step(chance: random.Random, names: Any, depth: int) -> dict[str, Any]:
    name = next(names)
    kinds = ["call", "call", "fails", "each", "set", "nap", "skip"]
    match chance.choice(kinds + (["group", "parallel"] if depth < 2 else [])):
        case "call":
            return watched(name, chance.random())
        case "fails":
            times = chance.choice([1, 2, 3])
            recover = chance.choice(["fail", "continue", "continue"])
            return watched(name, 1, fail="now", times=times, retry=QUICK, on_error=recover)
        case "each":
            items = list(range(chance.randint(0, 5)))
            return watched(name, "${item}", for_each=items, concurrency=chance.randint(1, 3))
        case "set":
            return {"kind": "set", "id": name, "values": {"n": 1}}
        case "nap":
            return {"kind": "wait", "id": name, "length": f"{chance.randint(1, 60)}ms"}
        case "skip":
            return watched(name, when="false")
        case "group":
            return {"kind": "steps", "id": name, "steps": some(chance, names, depth + 1)}
        case _:
            branches = {f"b{n}": some(chance, names, depth + 1) for n in range(3)}
            return {"kind": "parallel", "id": name, "branches": branches}


async def read_with_breaks(
    histories: Histories, run_id: str, chance: random.Random, breaks: int
) -> list[LogEvent]:
    heard: list[LogEvent] = []
    cursor: str | None = None
    for connection in range(breaks + 1):
        patience = chance.randint(0, 4) if connection < breaks else None
        async with aclosing(histories.follow(run_id, cursor)) as entries:
            async for entry in entries:
                event, cursor = entry
                heard.append(event)
                if patience is not None and patience == 0:
                    break
                patience = None if patience is None else patience - 1
    return heard


async def interfere(handle: WorkflowHandle[Any, Any], chance: random.Random) -> None:
    await asyncio.sleep(chance.random() / 5)
    match chance.choice(["pause", "cancel", "terminate", "no", "no"]):
        case "pause":
            await handle.signal(PAUSE, BY)
            await handle.signal(RESUME, BY)
        case "cancel":
            await handle.cancel()
        case "terminate":
            await handle.terminate()
        case _:
            pass


async def check(kernel: Kernel, handle: WorkflowHandle[Any, Any], chance: random.Random) -> int:
    elsewhere = Histories(
        kernel.client, Attempts(kernel.pool, Keyring(KEYS)), Runs(kernel.pool, Keyring(KEYS))
    )
    seeds = [random.Random(chance.random()) for _ in range(2)]
    first, second, plain = await asyncio.gather(
        read_with_breaks(kernel.histories, handle.id, seeds[0], RECONNECTS),
        read_with_breaks(elsewhere, handle.id, seeds[1], RECONNECTS),
        read_with_breaks(elsewhere, handle.id, seeds[1], 0),
    )
    run = await kernel.row(handle)
    log = await kernel.histories.log(run)
    whole = {event.id: event for event in log}
    for heard in (first, second, plain):
        assert len(heard) == len(log)
        assert {event.id: event for event in heard} == whole
    return sum(event.kind == "step.retrying" for event in log)


@pytest.mark.parametrize("seed", range(2))
async def test_random_flows_read_the_same_however_they_are_read(kernel: Kernel, seed: int) -> None:
    chance = random.Random(seed)
    async with kernel.worker():
        handles = [await kernel.start(random_flow(chance)) for _ in range(FLOWS)]
        seeds = [random.Random(chance.random()) for _ in handles]
        meddling = [interfere(handle, each) for handle, each in zip(handles, seeds, strict=True)]
        reading = [check(kernel, handle, each) for handle, each in zip(handles, seeds, strict=True)]
        _, retries = await asyncio.gather(
            asyncio.gather(*meddling, return_exceptions=True), asyncio.gather(*reading)
        )
    assert sum(retries) > 0


async def test_a_continued_run_has_one_log(kernel: Kernel) -> None:
    async with kernel.worker(Continuing):
        handle = await kernel.start_type("continuing", {"parts": 3, "fails": 1})
        retries = await check(kernel, handle, random.Random(7))
        assert await handle.result() == 1
    log = await kernel.histories.log(await kernel.row(handle))

    assert retries == 3
    assert [event.kind for event in log if event.kind.startswith("run.")] == [
        "run.started",
        "run.succeeded",
    ]
    assert [event.step for event in log if event.kind == "step.finished"] == [
        "work3",
        "work2",
        "work1",
    ]
    assert len({event.id for event in log}) == len(log)
