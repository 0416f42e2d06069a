"""The interpreter over effects that only remember what was asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.effects import Settled
from core.execution import Approval, Batch, ChildRun, Compute, Items, Pause, StepFailed
from core.flow import Flow, Step
from core.interpreter import execute
from core.run import Failure

Tool = Callable[[Compute], Any]


class Remembering:
    """Effects in memory; a tool may answer, raise, or wait for others."""

    def __init__(self, tool: Tool | None = None) -> None:
        self.calls: list[Compute] = []
        self.settled: list[Settled] = []
        self.backed_off: list[tuple[str, timedelta]] = []
        self.breaths = 0
        self.running = self.most_running = 0
        self._tool = tool or (lambda call: call.arguments.get("value"))

    @property
    def paths(self) -> list[str]:
        return [call.path for call in self.calls]

    async def gate(self) -> None:
        await asyncio.sleep(0)

    async def breathe(self) -> None:
        self.breaths += 1

    async def compute(self, call: Compute) -> Any:
        self.calls.append(call)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        return self._tool(call)

    async def child(self, call: ChildRun, halted: Callable[[], bool]) -> Any:
        return {"skill": call.skill, **call.inputs}

    async def wait(self, call: Pause, halted: Callable[[], bool]) -> Any:
        return None

    async def approve(self, call: Approval, halted: Callable[[], bool]) -> Any:
        return {"approved": True, "message": call.message}

    async def back_off(self, path: str, length: timedelta, halted: Callable[[], bool]) -> None:
        self.backed_off.append((path, length))

    def oversized(self, step: Step, count: int) -> bool:
        return False

    async def batches(self, call: Batch) -> Items:
        raise AssertionError("nothing here is large")

    def settle(self, settled: Settled) -> None:
        self.settled.append(settled)


def fails(*paths: str) -> Tool:
    def tool(call: Compute) -> Any:
        if call.path in paths:
            failure = Failure(code="tool_failed", message=f"{call.path} broke", step=call.path)
            raise StepFailed(failure, told=True)
        return call.arguments.get("value")

    return tool


def compute(id: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"kind": "compute", "id": id, "tool": "echo", "arguments": {"value": value}, **more}


def flow(*steps: dict[str, Any], **more: Any) -> Flow:
    return Flow.model_validate({"steps": steps, **more})


async def run(flow: Flow, effects: Remembering, **inputs: Any) -> Any:
    known = {"inputs": inputs, "event": None, "workspace": {"id": "w"}, "run": {"id": "r"}}
    return await execute(flow, known, effects)


async def test_steps_see_inputs_and_the_outputs_before_them() -> None:
    effects = Remembering()
    output = await run(
        flow(
            compute("a", "${inputs.n}"),
            compute("b", "${steps.a + 1}"),
            compute("c", "a=${steps.a} b=${steps.b}"),
        ),
        effects,
        n=1,
    )
    assert output == "a=1 b=2"
    assert effects.paths == ["a", "b", "c"]


async def test_output_is_rendered_where_the_flow_has_one() -> None:
    effects = Remembering()
    asked = flow(
        compute("a", 2), compute("b", 3), output={"sum": "${steps.a + steps.b}"}, has_output=True
    )
    assert await run(asked, effects) == {"sum": 5}


async def test_skipped_step_has_null_output_and_status_skipped() -> None:
    effects = Remembering()
    output = await run(
        flow(
            compute("a", 1, when="inputs.go"),
            compute("b", {"a": "${steps.a}", "was": "${status.a}"}),
        ),
        effects,
        go=False,
    )
    assert output == {"a": None, "was": "skipped"}
    assert effects.paths == ["b"]
    assert [(each.path, each.status) for each in effects.settled] == [("a", "skipped")]


async def test_when_that_is_neither_true_nor_false_fails_the_step() -> None:
    with pytest.raises(StepFailed) as caught:
        await run(flow(compute("a", when="1 + 1")), Remembering())
    assert caught.value.failure.code == "expression_failed"
    assert caught.value.failure.step == "a"


async def test_for_each_keeps_order_and_bounds_concurrency() -> None:
    effects = Remembering()
    output = await run(
        flow(compute("double", "${item * 2}", for_each="${inputs.numbers}", concurrency=3)),
        effects,
        numbers=list(range(10)),
    )
    assert output == [n * 2 for n in range(10)]
    assert effects.most_running == 3
    assert effects.paths == [f"double[{n}]" for n in range(10)]


async def test_nested_steps_see_those_of_the_same_item() -> None:
    effects = Remembering()
    nested = {
        "kind": "steps",
        "id": "each",
        "for_each": "${inputs.names}",
        "steps": [compute("first", "hi ${item}"), compute("second", "${index}: ${steps.first}")],
    }
    output = await run(flow(nested), effects, names=["a", "b"])
    assert output == ["0: hi a", "1: hi b"]
    assert sorted(effects.paths) == [
        "each[0].first",
        "each[0].second",
        "each[1].first",
        "each[1].second",
    ]


async def test_when_about_the_item_is_asked_for_each_item() -> None:
    effects = Remembering()
    step = compute("odd", "${item}", for_each="${inputs.n}", when="item % 2 == 1")
    assert await run(flow(step), effects, n=[1, 2, 3]) == [1, None, 3]
    assert effects.paths == ["odd[0]", "odd[2]"]


async def test_when_about_the_list_is_asked_once_before() -> None:
    step = compute("a", "${item}", for_each="${inputs.n}", when="inputs.n != null")
    assert await run(flow(step), Remembering(), n=None) is None


async def test_for_each_over_something_else_names_the_step() -> None:
    with pytest.raises(StepFailed, match="for_each of `a` needs a list, got str"):
        await run(flow(compute("a", for_each="${inputs.n}")), Remembering(), n="abc")


async def test_vars_are_the_items_own_inside_for_each() -> None:
    effects = Remembering()
    group = {
        "kind": "steps",
        "id": "each",
        "for_each": [1, 2],
        "steps": [
            {"kind": "set", "id": "note", "values": {"x": "${item}"}},
            compute("use", "${vars.x}"),
        ],
    }
    first = {"kind": "set", "id": "start", "values": {"x": 0}}
    assert await run(flow(first, group, compute("after", "${vars.x}")), effects) == 0


async def test_first_failed_item_stops_new_ones_but_not_those_in_flight() -> None:
    effects = Remembering(fails("a[1]"))
    step = compute("a", "${item}", for_each="${inputs.n}", concurrency=2)
    with pytest.raises(StepFailed) as caught:
        await run(flow(step, compute("b")), effects, n=list(range(10)))
    assert caught.value.failure.step == "a[1]"
    assert effects.paths in (["a[0]", "a[1]"], ["a[0]", "a[1]", "a[2]"])
    assert effects.running == 0


async def test_on_error_continue_keeps_the_other_items_and_lists_the_errors() -> None:
    effects = Remembering(fails("a[1]"))
    step = compute("a", "${item}", for_each=[5, 6, 7], on_error="continue")
    seen = compute("b", {"out": "${steps.a}", "errors": "${errors.a}", "status": "${status.a}"})
    output = await run(flow(step, seen), effects)
    assert output["out"] == [5, None, 7]
    assert output["status"] == "failed"
    assert [(error["index"], error["code"]) for error in output["errors"]] == [(1, "tool_failed")]


async def test_recovery_steps_run_instead_of_failing() -> None:
    effects = Remembering(fails("a"))
    step = compute("a", on_error={"steps": [compute("plan_b", "${errors.a.message}")]})
    output = await run(flow(step, compute("c", ["${steps.a}", "${status.a}"])), effects)
    assert output == ["a broke", "failed"]


async def test_recovery_of_an_item_sees_that_items_error() -> None:
    effects = Remembering(fails("a[1]"))
    recovery = {"steps": [compute("plan_b", "${errors.a.step} ${item}")]}
    step = compute("a", "${item}", for_each=["x", "y"], on_error=recovery)
    assert await run(flow(step), effects) == ["x", "a[1] y"]


async def test_failed_recovery_fails_the_run() -> None:
    effects = Remembering(fails("a", "plan_b"))
    step = compute("a", on_error={"steps": [compute("plan_b")]})
    with pytest.raises(StepFailed, match="plan_b broke"):
        await run(flow(step), effects)


async def test_parallel_gives_a_map_and_drains_after_a_failure() -> None:
    effects = Remembering(fails("bad"))
    branches = {
        "left": [compute("l1", 1), compute("l2", 2)],
        "right": [compute("bad"), compute("never")],
    }
    step = {"kind": "parallel", "id": "both", "branches": branches}
    with pytest.raises(StepFailed, match="bad broke"):
        await run(flow(step), effects)
    assert "never" not in effects.paths
    assert "l1" in effects.paths
    well = {"kind": "parallel", "id": "both", "branches": {"left": branches["left"]}}
    assert await run(flow(well), Remembering()) == {"left": 2}


async def test_group_is_tried_again_under_new_paths() -> None:
    effects = Remembering(fails("a", "g#2.a"))
    group = {
        "kind": "steps",
        "id": "g",
        "steps": [compute("a", 1), compute("b", 2)],
        "retry": {"attempts": 3, "backoff": "2s"},
    }
    assert await run(flow(group), effects) == 2
    assert effects.paths == ["a", "g#2.a", "g#3.a", "g#3.b"]
    assert [length.total_seconds() for _, length in effects.backed_off] == [2, 4]


async def test_many_expensive_expressions_let_others_breathe() -> None:
    effects = Remembering()
    busy = "${range(2000).map(x, x * 2).size()}"
    steps = [{"kind": "set", "id": f"s{n}", "values": {"v": busy}} for n in range(300)]
    await run(flow(*steps), effects)
    assert effects.breaths >= 1


async def test_value_nested_too_deep_for_a_payload_is_refused_by_name() -> None:
    wrap = [{"kind": "set", "id": f"s{n}", "values": {"x": ["${vars.x}"]}} for n in range(120)]
    with pytest.raises(StepFailed, match="nested deeper than 100 levels") as caught:
        await run(flow(*wrap), Remembering())
    assert caught.value.failure.code == "value_too_large"


# Random flows


def leaves(prefix: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda fail, on_error, items, when: {
            "fail": fail,
            "on_error": on_error,
            "items": items,
            "when": when,
        },
        st.booleans(),
        st.sampled_from(["fail", "continue"]),
        st.none() | st.integers(0, 4),
        st.none() | st.booleans(),
    )


trees = st.recursive(
    leaves(""),
    lambda inner: st.builds(
        lambda kind, steps, on_error: {"group": kind, "steps": steps, "on_error": on_error},
        st.sampled_from(["steps", "parallel"]),
        st.lists(inner, min_size=1, max_size=3),
        st.sampled_from(["fail", "continue"]),
    ),
    max_leaves=8,
)


def as_step(tree: dict[str, Any], names: list[int], failing: set[str]) -> dict[str, Any]:
    names[0] += 1
    id = f"s{names[0]}"
    if "group" in tree:
        inner = [as_step(each, names, failing) for each in tree["steps"]]
        shared = {"id": id, "on_error": tree["on_error"]}
        if tree["group"] == "steps":
            return {"kind": "steps", "steps": inner, **shared}
        return {"kind": "parallel", "branches": {each["id"]: [each] for each in inner}, **shared}
    if tree["fail"]:
        failing.add(id)
    step = compute(id, id, on_error=tree["on_error"])
    if tree["items"] is not None:
        step["for_each"] = list(range(tree["items"]))
    if tree["when"] is not None:
        step["when"] = str(tree["when"]).lower()
    return step


@settings(max_examples=150, deadline=None)
@given(st.lists(trees, min_size=1, max_size=4))
async def test_any_flow_calls_each_path_once_and_ends_the_same_way_twice(
    drawn: list[dict[str, Any]],
) -> None:
    failing: set[str] = set()
    names = [0]
    asked = flow(*(as_step(tree, names, failing) for tree in drawn))

    def tool(call: Compute) -> Any:
        if call.path.split("[")[0] in failing:
            raise StepFailed(Failure(code="x", message="x", step=call.path), told=True)
        return call.arguments["value"]

    async def once() -> tuple[Any, list[str]]:
        effects = Remembering(tool)
        try:
            ended: Any = ("ok", await run(asked, effects))
        except StepFailed as failed:
            ended = ("failed", failed.failure)
        return ended, effects.paths

    first, paths = await once()
    assert len(set(paths)) == len(paths)
    assert (first, paths) == await once()
    if first[0] == "failed":
        assert first[1].step.split("[")[0] in failing
