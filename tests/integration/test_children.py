"""Runs that runs start, as their rows and origins say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from core.effects import ChildRequest
from core.errors import NotFound
from core.flow import Flow
from core.run import RunOrigin, Workspace
from core.skill import Skill, SkillVersion
from core.tool import Actor
from services.children import PinnedChildren
from store.pool import Pool
from store.runs import NewRun, Runs
from store.sealing import Keyring

WORKSPACE = Workspace(id="acme", name="Acme")


class OneVersion:
    """Only `child` in its version `v1` is known."""

    async def pinned(self, workspace: str, name: str, version: str) -> SkillVersion | None:
        if (workspace, name, version) != ("acme", "child", "v1"):
            return None
        skill = Skill(
            name="child",
            description="",
            instructions="",
            allowed_tools=("echo",),
            flow=Flow(inputs={"n": {"type": "integer", "default": 3}}),
        )
        return SkillVersion(skill=skill, hash="v1", layer="workspace")


@pytest_asyncio.fixture
async def runs(pool: Pool) -> Runs:
    await pool.execute("INSERT INTO workspaces (id, name, timezone) VALUES ('acme', 'Acme', 'UTC')")
    return Runs(pool, Keyring({"test": bytes(32)}))


def asked(run: str, **more: Any) -> ChildRequest:
    origin = RunOrigin(
        workspace=WORKSPACE,
        skill="parent",
        version="p1",
        lineage="parent-1",
        actor=Actor(kind="key", id="k1"),
        mode="dry",
        depth=2,
        pins={"child": "v1"},
        allowed_tools=("*",),
    )
    known: dict[str, Any] = {"skill": "child", "inputs": {}, "parent": "parent-1", "path": "call"}
    return ChildRequest(run=run, origin=origin, **{**known, **more})


async def test_child_runs_the_pinned_version_with_its_own_tools_in_its_parents_mode(
    runs: Runs,
) -> None:
    ready = await PinnedChildren(runs, OneVersion()).prepare(asked("c1"))
    row = await runs.find("c1", "acme")
    assert row is not None
    assert (row.status, row.parent, row.lineage, row.retry_of) == ("queued", "parent-1", "c1", None)
    assert (ready.origin.version, ready.inputs) == ("v1", {"n": 3})
    assert (ready.origin.mode, ready.origin.depth) == ("dry", 3)
    assert ready.origin.allowed_tools == ("echo",)


async def test_retries_of_a_child_are_of_one_lineage(runs: Runs) -> None:
    """Or else a receiver would see another Idempotency-Key for the same effect."""
    children = PinnedChildren(runs, OneVersion())
    await children.prepare(asked("c1"))
    second = await children.prepare(asked("c2", given_by="c1"))
    third = await children.prepare(asked("c3", given_by="c2"))
    assert [ready.origin.lineage for ready in (second, third)] == ["c1", "c1"]
    assert third.origin.given_by == "c2"


async def test_child_whose_earlier_run_has_no_row_goes_on_from_its_history(runs: Runs) -> None:
    ready = await PinnedChildren(runs, OneVersion()).prepare(asked("c2", given_by="c1"))
    assert (ready.origin.lineage, ready.origin.given_by) == ("c1", "c1")


async def test_child_of_another_skill_is_given_nothing(runs: Runs) -> None:
    other = NewRun(
        run_id="o1",
        workspace_id="acme",
        skill="other",
        version="v9",
        trigger="skill",
        actor=Actor(kind="system", id="parent-0"),
        lineage="o1",
        created_at=datetime.now(UTC),
    )
    await runs.queue(other)
    ready = await PinnedChildren(runs, OneVersion()).prepare(asked("c2", given_by="o1"))
    assert (ready.origin.lineage, ready.origin.given_by) == ("c2", None)


async def test_skill_that_was_not_pinned_is_not_found(runs: Runs) -> None:
    with pytest.raises(NotFound, match="no skill `stranger`"):
        await PinnedChildren(runs, OneVersion()).prepare(asked("c1", skill="stranger"))
