"""What is planted in the demo company is just what the tools find in it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from pydantic import TypeAdapter

from core.crm import KINDS, Record
from core.tool import Actor, RunContext, ToolContext
from dev.demo.company import company
from store.crm.asking import CRM
from tests.integration.told import ToldRecords
from tools.crm import crm_tools

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.demo.company import Company
    from store.pool import Pool

RECORD: TypeAdapter[Record] = TypeAdapter(Record)
CONTEXT = ToolContext(
    run=RunContext(
        workspace="acme", run="r", lineage="r", path="p", actor=Actor(kind="system", id="test")
    ),
    effect_key="e",
)
# The slow weeks are not silence, and a workspace's day is not always that of the data.
PLACES = {
    date(2026, 11, 20): "UTC",
    date(2027, 1, 4): "America/Los_Angeles",
    date(2026, 9, 1): "Pacific/Auckland",
}


@pytest.fixture(params=PLACES, ids=str)
def told(request: pytest.FixtureRequest) -> Company:
    return company(request.param)


@pytest_asyncio.fixture
async def found(pool: Pool, told: Company) -> Callable[..., Any]:
    await pool.execute(
        "INSERT INTO workspaces (id, name, timezone) VALUES ('acme', 'Acme', $1)",
        PLACES[told.today],
    )
    # The tools look at the clock; the company is of another day.
    later = datetime.now(UTC).date() - told.today
    records = ToldRecords(pool)
    for kind in KINDS:
        await records.write("acme", "demo", [_moved(r, later) for r in told.of(kind)], sync="s")
    await pool.execute("ANALYZE")
    tools = {tool.name: tool for tool in crm_tools(CRM(pool))}

    async def find(name: str, **arguments: Any) -> dict[str, dict[str, Any]]:
        tool = tools[name]
        answer = await tool.call(tool.arguments(limit=200, **arguments), CONTEXT)
        assert not answer["more"]
        return {deal["deal_id"].removeprefix("demo:"): deal for deal in answer["deals"]}

    return find


async def test_each_tool_finds_what_is_planted_and_nothing_else(
    told: Company, found: Callable[..., Any]
) -> None:
    missing = await found("crm_missing_fields")
    changed = await found("crm_amount_changes")
    seen = {
        "stale": set(await found("crm_stale_deals")),
        "slipped": set(await found("crm_slipped_deals")),
        "pushed": set(await found("crm_close_date_pushes")),
        "single_threaded": set(await found("crm_single_threaded_deals")),
        "no_next_step": {id_ for id_, deal in missing.items() if "next_step" in deal["missing"]},
        "missing_fields": {
            id_ for id_, deal in missing.items() if deal["missing"] != ["next_step"]
        },
        "amount_cut": {id_ for id_, deal in changed.items() if deal["change_percent"] <= -30},
        "stuck": set(await found("crm_at_risk_deals", kinds=["stuck"], min_score=1)),
    }
    planted = {problem: told.planted[problem] for problem in seen}
    assert seen == planted
    risky = await found("crm_at_risk_deals", min_score=1)
    assert planted == {
        problem: {id_ for id_, deal in risky.items() if problem in _kinds(deal)}
        for problem in planted
    }


def _kinds(deal: dict[str, Any]) -> set[str]:
    return {reason["kind"] for reason in deal["reasons"]}


def _moved(record: Record, later: timedelta) -> Record:
    return RECORD.validate_python(_shifted(record.model_dump(), later))


def _shifted(value: Any, later: timedelta) -> Any:
    if isinstance(value, date):
        return value + later
    if isinstance(value, tuple):
        return [_shifted(each, later) for each in value]
    if not isinstance(value, dict):
        return value
    shifted = {name: _shifted(each, later) for name, each in value.items()}
    if shifted.get("field") == "close_date":
        shifted["value"] = (date.fromisoformat(value["value"]) + later).isoformat()
    return shifted
