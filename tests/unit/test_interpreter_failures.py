"""What a failure reaches, and what it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from core.execution import ChildRun, StepFailed
from core.run import Failure
from tests.unit.test_interpreter import Remembering, compute, fails, flow, run


async def test_output_of_the_flow_is_not_that_of_a_step_called_output() -> None:
    steps = flow(compute("output", 1), output={"a": "${steps.output}"}, has_output=True)
    assert await run(steps, Remembering()) == {"a": 1}


async def test_failing_condition_is_a_failure_of_the_step_for_on_error_too() -> None:
    effects = Remembering()
    step = compute("a", 1, when="inputs.n + 1 > 0", on_error="continue")
    seen = compute("b", {"status": "${status.a}", "code": "${errors.a.code}"})
    output = await run(flow(step, seen), effects, n="text")
    assert output == {"status": "failed", "code": "expression_failed"}
    assert [(each.path, each.status) for each in effects.settled] == [("a", "failed")]


async def test_failing_condition_is_told() -> None:
    effects = Remembering()
    with pytest.raises(StepFailed):
        await run(flow(compute("a", when="1 + 1")), effects)
    assert [(each.path, each.status) for each in effects.settled] == [("a", "failed")]


async def test_failing_condition_of_an_item_is_that_items_error() -> None:
    effects = Remembering()
    step = compute("a", "${item}", for_each=[1, "x", 3], when="item + 1 > 0", on_error="continue")
    seen = compute("b", {"out": "${steps.a}", "errors": "${errors.a}"})
    output = await run(flow(step, seen), effects)
    assert output["out"] == [1, None, 3]
    assert [error["index"] for error in output["errors"]] == [1]
    assert ("a[1]", "failed") in [(each.path, each.status) for each in effects.settled]


async def test_failing_condition_about_the_list_is_recovered_from() -> None:
    recovery = {"steps": [compute("plan_b", "${errors.a.code}")]}
    step = compute("a", "${item}", for_each=[1], when="inputs.n + 1 > 0", on_error=recovery)
    assert await run(flow(step), Remembering(), n="text") == "expression_failed"


class Children(Remembering):
    """A child fails at once, and the pause after it lasts until the sibling has failed too."""

    started: list[str]

    async def child(self, call: ChildRun, halted: Callable[[], bool]) -> Any:
        self.started.append(call.path)
        raise StepFailed(Failure(code="child_failed", message="no", step=call.path), told=True)

    async def back_off(self, path: str, length: timedelta, halted: Callable[[], bool]) -> None:
        while not halted():
            await asyncio.sleep(0)


async def test_failed_sibling_ends_the_attempts_of_a_child() -> None:
    effects = Children(fails("bad"))
    effects.started = []
    again = {"attempts": 5, "backoff": "1s"}
    call = {"kind": "skill", "id": "call", "skill": "x", "retry": again}
    branches = {"left": [call], "right": [compute("bad")]}
    with pytest.raises(StepFailed, match="bad broke"):
        await run(flow({"kind": "parallel", "id": "p", "branches": branches}), effects)
    assert effects.started == ["call"]


async def test_longest_pause_between_attempts_is_never_below_the_first() -> None:
    effects = Remembering(fails("a", "g#2.a", "g#3.a"))
    retry = {"attempts": 4, "backoff": "5m"}
    group = {"kind": "steps", "id": "g", "steps": [compute("a", 1)], "retry": retry}
    await run(flow(group), effects)
    assert [length.total_seconds() for _, length in effects.backed_off] == [300, 300, 300]


async def test_set_steps_cannot_fill_the_memory_of_a_worker() -> None:
    doubled = [
        {"kind": "set", "id": f"s{n}", "values": {f"v{n}": "${inputs.text + inputs.text}"}}
        for n in range(20)
    ]
    with pytest.raises(StepFailed, match="over 16,000,000 bytes together"):
        await run(flow(*doubled), Remembering(), text="x" * 500_000)
