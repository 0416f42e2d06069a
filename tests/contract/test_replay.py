"""Runs that were recorded go the same way with the workflow code of today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import (
    Interceptor,
    Replayer,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from core.interpreter import Interpreter
from services.temporal import converter
from tests.contract.scenarios import FOLDER, SCENARIOS
from tests.kernel import KEYS
from tests.workflow.continuing import Continuing
from worker import python_skills, sandbox
from workflows.callback import CallbackRun
from workflows.flow import BatchRun, FlowRun
from workflows.interceptor import RunInterceptor
from workflows.sync import SyncRun

SKILLS = Path(__file__).parents[2] / "skills"
RECORDED = sorted(path.stem for path in FOLDER.glob("*.json"))


class Asked:
    """What each activity was asked in the replay; ids alone would not show reordered items."""

    requests: dict[str, Any]


class Watching(Interceptor):
    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        return WatchingInbound


class WatchingInbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        self.next.init(WatchingOutbound(outbound))


class WatchingOutbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        Asked.requests[input.activity_id or ""] = input.args[0] if input.args else None
        return self.next.start_activity(input)


def test_every_kind_of_run_is_recorded() -> None:
    assert {name.split(".")[0] for name in RECORDED} >= set(SCENARIOS)


async def replay(name: str) -> None:
    """Raises where the run would go another way today, or would ask for something else."""
    Asked.requests = {}
    data_converter = converter(KEYS)
    replayer = Replayer(
        workflows=[FlowRun, BatchRun, CallbackRun, SyncRun, Continuing, *python_skills(SKILLS)],
        interceptors=[RunInterceptor(), Watching()],
        data_converter=data_converter,
        workflow_runner=sandbox(),
    )
    kept = json.loads((FOLDER / f"{name}.json").read_text())
    history = WorkflowHistory.from_json(kept.pop("workflow_id"), kept)
    await replayer.replay_workflow(history)
    for event in history.events:
        if not event.HasField("activity_task_scheduled_event_attributes"):
            continue
        scheduled = event.activity_task_scheduled_event_attributes
        asked = Asked.requests[scheduled.activity_id]
        [was] = await data_converter.decode(scheduled.input.payloads, [type(asked)])
        assert was == asked, scheduled.activity_id


@pytest.mark.parametrize("name", RECORDED)
async def test_recorded_run_replays_with_the_same_requests(name: str) -> None:
    await replay(name)


async def test_items_in_another_order_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporal alone would not see it: the activities' ids and types are the same."""
    read = Interpreter._items

    def backwards(self: Interpreter, *args: Any) -> list[Any]:
        return read(self, *args)[::-1]

    monkeypatch.setattr(Interpreter, "_items", backwards)
    with pytest.raises(AssertionError, match=r"each\[0\]"):
        await replay("every_step")
