"""A person is asked before a model writes, where the step or the workspace says so."""

from __future__ import annotations

from typing import Any

import pytest

from core.effects import DECIDE
from tests.kernel import Kernel
from tests.talk import Said, Talk, says
from tests.workflow.flows import flow

BY = {"actor": {"kind": "user", "id": "tester"}}
ASKED = "think.turn1.writes.approval"


def writes_once(request: Any) -> Said:
    if request.context.path.endswith(".turn1"):
        return says("", ("writes", {"value": "sent"}))
    return says(request.turns[-1].answers[0].content)


def reason(**more: Any) -> dict[str, Any]:
    return {"kind": "reason", "id": "think", "prompt": "Write to them.", **more}


@pytest.mark.parametrize(
    ("step", "origin"),
    [(reason(approve_writes="always"), {}), (reason(), {"approve_writes": "always"})],
)
async def test_write_of_a_model_waits_for_a_person(
    kernel: Kernel, step: dict[str, Any], origin: dict[str, Any]
) -> None:
    async with kernel.worker(), Talk(kernel, writes_once).worker():
        handle = await kernel.start(flow(step), **origin)
        run = await kernel.status(handle, "waiting")
        assert [each.step for each in run.waiting_for] == [ASKED]
        assert not kernel.world.calls
        await handle.execute_update(DECIDE, {"verdict": "approved", "step": ASKED, **BY})
        assert await handle.result() == "sent"
    assert kernel.world.calls == {"think.turn1.writes.approved": 1}


async def test_rejected_write_is_told_to_the_model(kernel: Kernel) -> None:
    async with kernel.worker(), Talk(kernel, writes_once).worker():
        handle = await kernel.start(flow(reason(approve_writes="always")))
        await kernel.status(handle, "waiting")
        rejected = {"verdict": "rejected", "comment": "not to them", **BY}
        await handle.execute_update(DECIDE, rejected)
        assert "not to them" in await handle.result()
    assert not kernel.world.calls


async def test_step_of_a_flow_is_its_authors_word_and_asks_nobody(kernel: Kernel) -> None:
    step = {"kind": "compute", "id": "a", "tool": "writes", "arguments": {"value": 1}}
    async with kernel.worker():
        handle = await kernel.start(flow(step), approve_writes="always")
        assert await handle.result() == 1
