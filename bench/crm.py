"""The tools over business data, asked where there is much of it."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from pathlib import Path

import asyncpg

from core.tool import Actor, RunContext, ToolContext
from dev import postgres
from store.crm.asking import CRM
from store.pool import open_pool
from store.schema import migrate
from tests.business import CALLS, LARGE, SMALL, fill
from tools.crm import crm_tools

DATABASE = "bench_crm"


async def tools_p95(data: Path, times: int) -> dict[str, dict[str, float]]:
    """Milliseconds by tool: of all its calls in `tests.business`, each asked `times` times."""
    await postgres.ensure_database(data, DATABASE)
    dsn = postgres.dsn(data, DATABASE)
    await migrate(dsn)
    connection = await asyncpg.connect(dsn)
    await fill(connection)
    await connection.close()
    found: dict[str, dict[str, float]] = defaultdict(dict)
    async with await open_pool(dsn, max_size=1) as pool:
        tools = {tool.name: tool for tool in crm_tools(CRM(pool))}
        for workspace, title in ((LARGE, "of 40,000 deals"), (SMALL, "of 6,700 deals")):
            run = RunContext(
                workspace=workspace, run="r", lineage="r", path="a",
                actor=Actor(kind="system", id="bench"),
            )  # fmt: skip
            context = ToolContext(run=run, effect_key="k")
            taken: dict[str, list[float]] = defaultdict(list)
            for name, arguments in CALLS:
                checked = tools[name].arguments.model_validate(arguments)
                for _ in range(times):
                    began = time.perf_counter()
                    await tools[name].call(checked, context)
                    taken[name].append((time.perf_counter() - began) * 1000)
            for name, each in taken.items():
                found[name][title] = statistics.quantiles(each, n=20)[-1]
    return dict(found)
