"""What the checker lets expressions read is what the workflow gives them."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from temporalio import workflow

from core.flow import Flow
from core.names import OF_RUN, OF_WORKSPACE, ROOTS
from core.run import FlowInput, RunOrigin, Workspace
from core.scope import Frame
from core.tool import Actor
from workflows.flow import known
from workflows.state import RunState


def test_names_are_those_the_workflow_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    now = SimpleNamespace(start_time=datetime(2026, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(workflow, "info", lambda: now)
    origin = RunOrigin(
        workspace=Workspace(id="w", name="W"),
        skill="mine",
        version="v",
        lineage="l",
        actor=Actor(kind="system", id="test"),
    )
    given = known(RunState(origin, "r"), FlowInput(flow=Flow(), inputs={}))
    assert set(Frame.of(given).names) == set(ROOTS)
    assert set(given["run"]) == set(OF_RUN)
    assert set(given["workspace"]) == set(OF_WORKSPACE)
