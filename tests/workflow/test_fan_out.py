"""Many items: lanes, batches, and what is kept when one of them fails."""

from __future__ import annotations

from typing import Any

import pytest

from core.effects import PAUSE, RESUME
from tests.kernel import Kernel, eventually, until
from tests.workflow.flows import batches, flow, watched
from workflows import effects

BY = {"actor": {"kind": "user", "id": "tester"}}


def each(id: str, items: Any, **more: Any) -> dict[str, Any]:
    return watched(id, "${item}", for_each=items, **more)


@pytest.mark.usefixtures("small_batches")
async def test_many_items_run_in_batches_and_come_back_in_order(kernel: Kernel) -> None:
    async with kernel.worker():
        step = each("a", "${range(201)}", concurrency=40)
        handle = await kernel.start(flow(step))
        assert await handle.result() == list(range(201))
        children = [run.id async for run in kernel.client.list_workflows(started_in(handle.id))]
    assert len(kernel.world.calls) == 201
    assert set(kernel.world.calls.values()) == {1}
    assert children == []  # batches are no runs: no list shows them
    history = await handle.fetch_history()
    assert len(history.events) < 100


def started_in(run_id: str) -> str:
    return f"PerdureWorkspace IS NOT NULL AND WorkflowId STARTS_WITH '{run_id}/'"


@pytest.mark.usefixtures("small_batches")
async def test_batch_sees_only_what_its_expressions_name(kernel: Kernel) -> None:
    async with kernel.worker():
        group = {
            "kind": "steps",
            "id": "each",
            "for_each": "${range(60)}",
            "concurrency": 30,
            "steps": [
                {"kind": "set", "id": "note", "values": {"x": "${item * inputs.n + vars.base}"}},
                watched("use", "${vars.x + steps.first}"),
            ],
        }
        base = {"kind": "set", "id": "start", "values": {"base": 1000}}
        handle = await kernel.start(flow(watched("first", 5), base, group), {"n": 2})
        assert await handle.result() == [n * 2 + 1005 for n in range(60)]


async def test_failed_item_stops_its_batch_and_the_others(kernel: Kernel) -> None:
    async with kernel.worker():
        step = {
            **each("a", "${range(1500)}", concurrency=4),
            "tool": "watched",
        }
        step["arguments"] = {"value": "${item}", "fail": "${item == 7 ? 'for_good' : null}"}
        run = await kernel.ended(await kernel.start(flow(step)))
    assert run.error is not None
    assert run.error.step == "a[7]"
    assert len(kernel.world.calls) < 200


@pytest.mark.usefixtures("small_batches")
async def test_continue_collects_the_errors_of_all_batches(kernel: Kernel) -> None:
    async with kernel.worker():
        step = each("a", "${range(120)}", concurrency=50, on_error="continue")
        step["arguments"] = {"value": "${item}", "fail": "${item % 40 == 9 ? 'for_good' : null}"}
        last = watched("b", "${errors.a.map(error, error.index)}")
        handle = await kernel.start(flow(step, last))
        assert await handle.result() == [9, 49, 89]


async def test_pause_and_cancel_reach_the_batches(kernel: Kernel) -> None:
    async with kernel.worker():
        step = each("a", "${range(600)}", concurrency=4, hold="gate")
        handle = await kernel.start(flow(step))
        await kernel.world.arrives("gate", 4)
        await handle.signal(PAUSE, BY)
        await kernel.status(handle, "paused")
        batch = kernel.client.get_workflow_handle(f"{handle.id}/a[0..499]")
        await eventually(
            lambda: batch.query("perdure.status"), lambda state: state["status"] == "paused"
        )
        kernel.world.open.add("gate")
        await until(lambda: kernel.world.released["gate"] == 4)
        assert len(kernel.world.calls) == 4
        kernel.world.open.clear()
        await handle.signal(RESUME, BY)
        await kernel.world.arrives("gate", 8)
        await handle.cancel()
        assert (await kernel.ended(handle)).status == "cancelled"
        described = await eventually(batch.describe, lambda now: now.status.name != "RUNNING")
    assert described.status.name == "CANCELED"


async def test_nested_loops_stay_below_the_limits_of_one_history(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "EVENTS_IN_ONE_HISTORY", 1_000)
    inner = watched("inner", "${item + steps.outer_value}", for_each="${range(12)}", concurrency=10)
    group = {
        "kind": "steps",
        "id": "outer",
        "for_each": "${range(40)}",
        "concurrency": 5,
        "steps": [{"kind": "set", "id": "outer_value", "values": {"v": "${item}"}}, inner],
    }
    inner["arguments"] = {"value": "${item}"}
    async with kernel.worker():
        handle = await kernel.start(flow(group))
        assert await handle.result() == [list(range(12))] * 40
        history = await handle.fetch_history()
    assert len(kernel.world.calls) == 480
    assert len(history.events) < 1_400


@pytest.mark.usefixtures("early_batches")
async def test_large_items_are_cut_into_smaller_batches(kernel: Kernel) -> None:
    async with kernel.worker():
        made = {"kind": "set", "id": "m", "values": {"text": "${inputs.text + inputs.text}"}}
        step = watched("a", "${size(item)}", for_each="${range(120).map(n, vars.text)}")
        handle = await kernel.start(flow(made, step), {"text": "x" * 10_000})
        assert await handle.result() == [20_000] * 120
    assert await batches(handle) == 3


async def test_too_many_items_are_refused_by_name(kernel: Kernel) -> None:
    async with kernel.worker():
        run = await kernel.ended(await kernel.start(flow(each("a", "${range(20001)}"))))
    assert run.error is not None
    assert (run.error.code, run.error.step) == ("too_many_items", "a")
