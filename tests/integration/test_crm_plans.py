"""Tools stay quick where there is much: none reads a whole table, or a row of somebody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg

from core.tool import Actor, RunContext, ToolContext
from store.crm.asking import CRM, load
from store.pool import Pool
from tests.business import ACTIVITIES_OF_A_DEAL, CALLS, LARGE, SMALL, fill
from tools.crm import crm_tools

# A fifth of what the benchmark has: an index that pays here pays there all the more.
DEALS = 20_000
# Of a few rows each: there a scan is the quickest.
TINY = {"workspaces", "crm_owners", "crm_pipelines", "crm_stages", "crm_quotas"}
CONDITIONS = ("Index Cond", "Recheck Cond", "Filter")


class Explained:
    """Tells how Postgres would answer, by workspace and question; only names are looked up."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._crm = CRM(pool)
        self._queries = load()
        self.plans: list[tuple[str, dict[str, Any]]] = []

    async def ask(self, query: str, workspace: str, arguments: Mapping[str, Any]) -> Any:
        asked = self._queries[query]
        rows = await self._pool.fetch_filtered(
            f"EXPLAIN (FORMAT JSON) {asked.sql}", *asked.values(workspace, arguments)
        )
        told = {name: value for name, value in arguments.items() if value is not None}
        self.plans.append((f"{query} {workspace} {told}", json.loads(rows[0][0])[0]["Plan"]))
        return await self._crm.ask(query, workspace, arguments) if query == "names" else {}


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Relation Name" in plan:
        yield plan
    for inner in plan.get("Plans", ()):
        yield from scans(inner)


async def test_no_tool_reads_a_whole_table_or_another_workspaces_rows(
    database: str, pool: Pool
) -> None:
    connection = await asyncpg.connect(database)
    await fill(connection, DEALS)
    await connection.close()
    assert await pool.fetchval("SELECT count(*) FROM crm_deals") == DEALS
    assert (
        await pool.fetchval("SELECT count(*) FROM crm_activities") == DEALS * ACTIVITIES_OF_A_DEAL
    )
    explained = Explained(pool)
    tools = {tool.name: tool for tool in crm_tools(explained)}
    for workspace in (LARGE, SMALL):
        run = RunContext(
            workspace=workspace, run="r", lineage="r", path="a", actor=Actor(kind="key", id="k")
        )
        for name, arguments in CALLS:
            checked = tools[name].arguments.model_validate(arguments)
            await tools[name].call(checked, ToolContext(run=run, effect_key="k"))
    assert {name for name, _ in CALLS} == tools.keys()
    whole = {
        f"{asked}: {scan['Relation Name']}"
        for asked, plan in explained.plans
        for scan in scans(plan)
        if scan["Node Type"] == "Seq Scan" and scan["Relation Name"] not in TINY
    }
    assert whole == set()
    unbound = {
        f"{asked}: {scan['Relation Name']}"
        for asked, plan in explained.plans
        for scan in scans(plan)
        if not any("workspace" in scan.get(each, "") for each in CONDITIONS)
        and scan["Relation Name"] != "workspaces"
    }
    assert unbound == set()
