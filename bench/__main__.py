"""`make bench`: runs beside a hand-written Temporal workflow, in one run on one server."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.crm import tools_p95
from bench.measure import Pair, Runs, gateway_start
from bench.models import LOOP, Models
from bench.skills import beyond_the_model
from bench.stack import open_bench
from bench.sync import syncs

MS = 1000
OF_SKILLS = "skills over the demo company, models that take 1 s"
OF_SYNCS = "syncs of files"
OF_TOOLS = "tools over 1,000,000 activities, p95 ms"


async def measure(scale: int) -> dict[str, Any]:
    async with open_bench() as bench:
        runs = Runs(bench)
        await runs.latency(3, 5)  # both workers warm
        await runs.throughput(20, 1)
        latency = {steps: await runs.latency(steps, count * scale) for steps, count in COUNTS}
        models = Models(bench)
        await models.at_once(5, LOOP)
        loops = await models.at_once(200, f"{LOOP}+slow-1s")
        starts = await runs.start_alone(20 * scale)
        over_http = await gateway_start(bench, 20 * scale)
        return {
            **{f"{steps} steps, p50 ms": scaled(pair) for steps, pair in latency.items()},
            "200 runs at once, runs/s": as_row(await runs.throughput(200, 2 + scale)),
            "events of 3 steps": as_row(await runs.events(3)),
            "events of 40 steps": as_row(await runs.events(40)),
            "200 loops of 6x3, 1 s a call, s": as_row(loops.seconds),
            "worker after them, MB": as_row(loops.memory_mb),
            "a model call, beside the bare SDK, ms": as_row(await models.a_call(100)),
            "a run of one model call, beside it, ms": as_row(await models.a_run_of_one_call(20)),
            "gateway": {
                "start over HTTP, p50 ms": over_http * MS,
                "of it Temporal's own, p50 ms": starts * MS,
                "added by the gateway, ms": (over_http - starts) * MS,
            },
            OF_SKILLS: await beyond_the_model(bench, 3 * scale),
            OF_SYNCS: await syncs(bench),
            OF_TOOLS: await tools_p95(bench.postgres, 5 * scale),
        }


COUNTS = ((3, 30), (40, 8))


def scaled(pair: Pair) -> dict[str, float]:
    return as_row(Pair(pair.ours * MS, pair.by_hand * MS))


def as_row(pair: Pair) -> dict[str, float]:
    return {"perdure": pair.ours, "by hand": pair.by_hand, "ratio": pair.ratio}


def show(found: dict[str, Any]) -> None:
    table = Table("", "perdure", "by hand", "ratio", title="encryption on, one server")
    for name, row in found.items():
        if "ratio" in row:
            table.add_row(
                name, f"{row['perdure']:.1f}", f"{row['by hand']:.1f}", f"{row['ratio']:.2f}×"
            )
    console = Console()
    console.print(table)
    for name, value in found["gateway"].items():
        console.print(f"{name}: {value:.1f}")
    for title, places in ((OF_SKILLS, 2), (OF_SYNCS, 0), (OF_TOOLS, 0)):
        rows = found[title]
        more = Table("", *next(iter(rows.values())), title=title)
        for name, row in rows.items():
            more.add_row(name, *(f"{value:.{places}f}" for value in row.values()))
        console.print(more)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--scale", type=int, default=1, help="how many times as many runs")
    chosen = parser.parse_args()
    found = asyncio.run(measure(chosen.scale))
    if chosen.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
