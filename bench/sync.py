"""A sync of 100,000 records from files: how fast, and what the worker holds of it."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.workspace import ID
from perdure.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.stack import Bench

ACCOUNTS, DEALS, ACTIVITIES = 10_000, 20_000, 70_000
SOURCE = "bench"
LOOK_EVERY_SECONDS = 0.2


async def syncs(bench: Bench) -> dict[str, dict[str, float]]:
    """All of it new, and then all of it once more."""
    async with Client(bench.url, bench.key, ID) as client:
        await client.sources.add(SOURCE, {"type": "files"})
        with tempfile.TemporaryDirectory(prefix="perdure-bench-") as folder:
            for kind, lines in files().items():
                file = Path(folder) / f"{kind}.csv"
                file.write_text("".join(lines), "utf-8")
                await client.sources.upload(SOURCE, kind, file)
        try:
            return {
                "100,000 new records": await _measured(bench, client),
                "the same again": await _measured(bench, client),
            }
        finally:
            await client.sources.remove(SOURCE, "delete")


async def _measured(bench: Bench, client: Client) -> dict[str, float]:
    memory = [bench.memory.of(bench.memory.ours)]

    async def watch() -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            memory.append(bench.memory.of(bench.memory.ours))

    watching = asyncio.create_task(watch())
    started = await client.sources.sync(SOURCE, reading="all", announce="no")
    run = await client.runs.wait(started.run_id)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert run.status == "succeeded", run.error
    assert run.started_at
    assert run.completed_at
    took = (run.completed_at - run.started_at).total_seconds()
    read = sum(tally["read"] for tally in _by_type(run.output).values())
    return {
        "records": read,
        "s": took,
        "records/s": read / took,
        "worker before, MB": memory[0],
        "at most, MB": max(memory),
    }


def _by_type(output: Any) -> dict[str, dict[str, int]]:
    return output["by_type"]


def files() -> dict[str, Iterator[str]]:
    return {"accounts": accounts(), "deals": deals(), "activities": activities()}


def accounts() -> Iterator[str]:
    yield "id,name,domain,segment,employees\n"
    for n in range(ACCOUNTS):
        yield f"a{n},Account {n},a{n}.example.com,mid-market,{n % 900}\n"


def deals() -> Iterator[str]:
    yield "id,name,stage,amount,currency,close date,owner,account,created\n"
    for n in range(DEALS):
        day = f"2026-{n % 12 + 1:02}-{n % 28 + 1:02}"
        yield f"d{n},Deal {n},Stage {n % 7},{n}.50,EUR,{day},o{n % 40},a{n % ACCOUNTS},2026-01-01\n"


def activities() -> Iterator[str]:
    yield "id,type,at,subject,body,owner,deal ids\n"
    for n in range(ACTIVITIES):
        day = f"2026-{n % 12 + 1:02}-{n % 28 + 1:02}T09:{n % 60:02}:00Z"
        yield f"t{n},call,{day},Call {n},Spoke of what comes next.,o{n % 40},d{n % DEALS}\n"
