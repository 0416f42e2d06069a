"""What a run may see of those before it, and who had a part in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.effects import RecordRequest
from core.run import RunOrigin, RunStatus, Workspace
from core.tool import Actor, RunContext, ToolContext
from store.pool import Pool
from store.reports import Reports
from store.runs import NewRun, Runs
from store.sealing import Keyring
from tools.reports import WhichReport, previous_report

KEYRING = Keyring({"test": bytes(range(32))})
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SOMEBODY = Actor(kind="user", id="ada")


@pytest.fixture
def reports(pool: Pool) -> Reports:
    return Reports(pool, KEYRING)


class Past:
    """Runs that began one hour after the other."""

    def __init__(self, pool: Pool) -> None:
        self._runs = Runs(pool, KEYRING)
        self._hour = 0

    async def run(
        self,
        run_id: str,
        status: RunStatus = "succeeded",
        *,
        workspace: str = "acme",
        skill: str = "recap",
        lineage: str | None = None,
        output: Any = None,
    ) -> None:
        self._hour += 1
        began = NOON + timedelta(hours=self._hour)
        await self._runs.queue(
            NewRun(
                run_id=run_id,
                workspace_id=workspace,
                skill=skill,
                version="v1",
                trigger="manual",
                actor=SOMEBODY,
                lineage=lineage or run_id,
                created_at=began,
            )
        )
        origin = RunOrigin(
            workspace=Workspace(id=workspace, name="Acme"),
            skill=skill,
            version="v1",
            lineage=lineage or run_id,
            actor=SOMEBODY,
        )
        record = RecordRequest(
            run=run_id,
            seq=1,
            origin=origin,
            status=status,
            at=began + timedelta(minutes=5),
            started_at=began,
            output=output,
        )
        await self._runs.record(record)


@pytest.fixture
def past(pool: Pool) -> Past:
    return Past(pool)


async def test_it_is_of_the_last_run_that_succeeded_and_began_before(
    past: Past, reports: Reports
) -> None:
    await past.run("one", output={"n": 1})
    await past.run("two", output={"n": 2})
    await past.run("broken", "failed", output={"n": 3})
    await past.run("other", skill="another", output={"n": 4})
    await past.run("now", "running")
    await past.run("later", output={"n": 5})
    found = await reports.previous("acme", "recap", "now", "now")
    assert found is not None
    assert (found.run_id, found.output) == ("two", {"n": 2})
    assert found.completed_at == NOON + timedelta(hours=2, minutes=5)


async def test_a_retry_does_not_see_the_runs_that_it_retries(past: Past, reports: Reports) -> None:
    await past.run("one", output=1)
    await past.run("first", lineage="first", output=2)
    await past.run("again", "running", lineage="first")
    found = await reports.previous("acme", "recap", "again", "first")
    assert found is not None
    assert found.run_id == "one"


async def test_another_workspace_has_its_own(past: Past, reports: Reports) -> None:
    await past.run("theirs", workspace="other", output=1)
    await past.run("now", "running")
    assert await reports.previous("acme", "recap", "now", "now") is None
    assert await reports.previous("other", "recap", "now", "now") is not None


async def test_the_tool_answers_with_nulls_where_there_was_none(
    past: Past, reports: Reports
) -> None:
    tool = previous_report(reports)
    context = ToolContext(
        run=RunContext(
            workspace="acme", run="now", lineage="now", path="a", actor=SOMEBODY, skill="recap"
        ),
        effect_key="k",
    )
    nothing = {"run_id": None, "completed_at": None, "output": None}
    assert await tool.call(WhichReport(), context) == nothing
    await past.run("one", output=[1])
    await past.run("other", skill="another", output=[2])
    await past.run("now", "running")
    assert (await tool.call(WhichReport(), context))["output"] == [1]
    named = await tool.call(WhichReport(skill="another"), context)
    assert named == {"run_id": "other", "completed_at": "2026-11-20T14:05:00Z", "output": [2]}


CALLED = """
    INSERT INTO llm_calls (workspace_id, call_key, request_hash, run_id, lineage, path, turn,
        attempt, skill, model, key_source, period, reserved, reserved_at)
    VALUES ('acme', 'k', 'h', $1, $1, 'p', 0, 1, 's', $2, 'platform', now(), 1, now())
"""


async def test_the_demo_model_had_a_part_where_any_run_of_the_family_asked_it(
    past: Past, reports: Reports, pool: Pool
) -> None:
    await past.run("parent", lineage="first")
    await past.run("first", lineage="first")
    await past.run("child")
    await pool.execute("UPDATE runs SET parent = 'parent' WHERE run_id = 'child'")
    await pool.execute(CALLED, "first", "anthropic/claude")
    assert not await reports.by_demo("acme", "first")
    await pool.execute(CALLED, "child", "demo-openai/small")
    assert await reports.by_demo("acme", "first")
    assert not await reports.by_demo("acme", "parent")
