"""What is too much for Temporal fails a step by name: a run never hangs on it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from core.effects import PAUSE, RESUME
from tests.kernel import Kernel
from tests.workflow.flows import batches, flow, watched


def noise(size: int, first: int = 33, last: int = 126) -> str:
    """A text that no compression makes much smaller."""
    chance = random.Random(size)
    return "".join(chr(chance.randint(first, last)) for _ in range(size))


@pytest.mark.usefixtures("early_batches")
async def test_batch_whose_outputs_exceed_one_result_goes_on_in_another(kernel: Kernel) -> None:
    text = noise(40_000)
    async with kernel.worker():
        step = watched("a", "${inputs.text + string(item)}", for_each="${range(60)}")
        sizes = "${steps.a.map(text, size(text))}"
        handle = await kernel.start(flow(step, output=sizes, has_output=True), {"text": text})
        run = await kernel.ended(handle)
    assert run.output == [40_000 + len(str(n)) for n in range(60)]
    assert set(kernel.world.calls.values()) == {1}
    assert len(kernel.world.calls) == 60


@pytest.mark.usefixtures("early_batches")
async def test_outputs_of_one_moment_that_exceed_a_result_are_refused_by_name(
    kernel: Kernel,
) -> None:
    async with kernel.worker():
        step = watched("a", "${inputs.text + string(item)}", for_each="${range(60)}")
        handle = await kernel.start(flow({**step, "concurrency": 60}), {"text": noise(60_000)})
        run = await kernel.ended(handle)
    assert run.error is not None
    assert run.error.code == "value_too_large"


async def test_inputs_of_a_child_that_are_too_large_are_refused_by_name(kernel: Kernel) -> None:
    call = {"kind": "skill", "id": "call", "skill": "x", "inputs": {"a": "${vars.a + vars.a}"}}
    kept = {"kind": "set", "id": "keep", "values": {"a": "${inputs.a + inputs.a}"}}
    async with kernel.worker():
        handle = await kernel.start(flow(kept, call), {"a": noise(700_000)})
        run = await kernel.ended(handle)
    assert run.error is not None
    assert (run.error.code, run.error.step) == ("value_too_large", "call")


async def test_question_that_is_too_long_is_refused_by_name(kernel: Kernel) -> None:
    step = {"kind": "approve", "id": "ok", "message": "${inputs.a}${inputs.a}${inputs.a}"}
    async with kernel.worker():
        handle = await kernel.start(flow(step), {"a": noise(900_000)})
        run = await kernel.ended(handle)
    assert run.error is not None
    assert (run.error.code, run.error.step) == ("value_too_large", "ok")


async def test_sizes_are_counted_in_bytes(kernel: Kernel) -> None:
    text = noise(700_000, 0x4E00, 0x9FFF)
    async with kernel.worker():
        step = watched("a", "${size(inputs.a + inputs.a)}")
        step["arguments"]["hold"] = "${inputs.a + inputs.a}"
        run = await kernel.ended(await kernel.start(flow(step), {"a": text[:450_000]}))
    assert run.error is not None
    assert (run.error.code, run.error.step) == ("value_too_large", "a")


@pytest.mark.parametrize(
    "wait",
    [
        {"length": "${inputs.far}"},
        {"until": "9999-12-31T23:59:59-12:00"},
        {"until": "9999-12-31T23:59:59Z"},
        {"until": "0001-01-01T00:00:00+14:00", "skipped": True},
    ],
)
async def test_wait_beyond_every_calendar_fails_the_step(
    kernel: Kernel, wait: dict[str, Any]
) -> None:
    is_over = wait.pop("skipped", False)
    async with kernel.worker():
        handle = await kernel.start(
            flow({"kind": "wait", "id": "w", **wait}), {"far": "9" * 30 + "w"}
        )
        run = await kernel.ended(handle)
    if is_over:
        assert run.status == "succeeded"
        return
    assert run.error is not None
    assert (run.error.code, run.error.step) == ("invalid_arguments", "w")


async def test_longest_backoff_below_the_first_is_the_first(kernel: Kernel) -> None:
    retry = {"attempts": 2, "backoff": "50ms", "max_backoff": "10ms"}
    async with kernel.worker():
        step = watched("a", 1, fail="now", times=1, retry=retry)
        run = await kernel.ended(await kernel.start(flow(step)))
    assert run.output == 1


async def test_half_a_surrogate_pair_fails_the_step_and_not_the_worker(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", tool="halves")))
        run = await kernel.ended(handle)
    assert run.error is not None
    assert (run.error.code, run.error.step) == ("tool_failed", "a")
    assert kernel.world.calls["a"] == 1


def large_fan_out() -> dict[str, Any]:
    return watched("a", "${inputs.text + string(item)}", for_each="${range(8)}", concurrency=8)


async def test_requests_of_one_moment_that_exceed_a_message_leave_in_several(
    kernel: Kernel,
) -> None:
    async with kernel.worker():
        steps = flow(large_fan_out(), output=1, has_output=True)
        run = await kernel.ended(await kernel.start(steps, {"text": noise(900_000)}))
    assert run.output == 1
    assert len(kernel.world.calls) == 8


async def test_requests_that_a_pause_held_back_leave_in_several_messages(kernel: Kernel) -> None:
    handle = await kernel.start(
        flow(large_fan_out(), output=1, has_output=True), {"text": noise(900_000)}
    )
    await handle.signal(PAUSE)
    async with kernel.worker():
        await kernel.status(handle, "paused")
        await handle.signal(RESUME)
        assert (await kernel.ended(handle)).output == 1


@pytest.mark.usefixtures("early_batches")
async def test_items_beside_large_values_are_cut_into_smaller_batches(kernel: Kernel) -> None:
    step = watched(
        "a", "${size(item) + size(inputs.text)}", for_each="${range(100).map(n, vars.t)}"
    )
    kept = {"kind": "set", "id": "keep", "values": {"t": "${inputs.small}"}}
    texts = {"text": noise(1_300_000), "small": noise(9_000)}
    async with kernel.worker():
        handle = await kernel.start(flow(kept, step), texts)
        run = await kernel.ended(handle)
    assert run.output == [1_309_000] * 100
    assert await batches(handle) == 2


async def test_many_steps_without_an_activity_are_told_in_parts(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.effects.MOST_UNTOLD", 50)
    monkeypatch.setattr("core.interpreter.FUEL_BETWEEN_BREATHS", 5_000)
    note = {"kind": "set", "id": "note", "values": {"v": "${item}"}}
    inner = {"kind": "steps", "id": "inner", "for_each": "${range(20)}", "steps": [note]}
    outer = {"kind": "steps", "id": "outer", "for_each": "${range(20)}", "steps": [inner]}
    async with kernel.worker():
        handle = await kernel.start(flow(outer))
        log = await kernel.histories.log(await kernel.ended(handle))
        history = await handle.fetch_history()
    told = [event.step for event in log if event.kind == "step.finished"]
    assert len({path for path in told if path and path.endswith("note")}) == 400
    records = [
        event for event in history.events if event.HasField("marker_recorded_event_attributes")
    ]
    assert len(records) > 4


async def test_run_that_fills_its_history_fails_by_name(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.state.MOST_EVENTS", 40)
    async with kernel.worker():
        steps = [watched(f"s{n}", n, on_error="continue") for n in range(20)]
        run = await kernel.ended(await kernel.start(flow(*steps)))
    assert run.error is not None
    assert run.error.code == "history_full"
    assert 3 < len(kernel.world.calls) < 15
