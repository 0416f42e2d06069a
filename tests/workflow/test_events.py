"""Steps that wait for events: what ends the wait, what does not, and who hears of it."""

from __future__ import annotations

from typing import Any

import pytest

from core.effects import EVENT, PAUSE, RESUME
from core.run import Run
from tests.kernel import Kernel
from tests.workflow.flows import QUICK, flow, watched
from tests.workflow.hearing import Hearing
from tests.workflow.telling import Telling

BY = {"actor": {"kind": "user", "id": "tester"}}


def awaits(id: str = "signed", **more: Any) -> dict[str, Any]:
    return {"kind": "wait", "id": id, "event": "deal_signed", **more}


@pytest.fixture
def telling(kernel: Kernel) -> Telling:
    return Telling.of(kernel)


async def looks(kernel: Kernel, run_id: str) -> int:
    history = await kernel.client.get_workflow_handle(run_id).fetch_history()
    return sum(
        event.activity_task_scheduled_event_attributes.activity_type.name == EVENT
        for event in history.events
    )


async def told_of_the_step(kernel: Kernel, run: Run) -> list[str]:
    log = await kernel.histories.log(run)
    return [event.kind for event in log if event.step == "signed" and event.kind[:4] == "step"]


async def test_an_event_ends_the_wait_and_is_its_output(kernel: Kernel, telling: Telling) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(awaits(), watched("a", "${steps.signed.data.deal}")))
        run = await kernel.status(handle, "waiting")
        event_id = await telling.tell("deal_signed", deal="D-1")
        assert await handle.result() == "D-1"
    [waiting] = run.waiting_for
    assert (waiting.kind, waiting.step, waiting.until) == ("event", "signed", None)
    assert waiting.message == "deal_signed"
    log = [(event.kind, event.data) for event in await kernel.histories.log(run) if event.step]
    assert log[0] == ("step.started", {"kind": "wait", "event": "deal_signed"})
    assert log[1][0] == "step.finished"
    assert log[1][1]["output"]["id"] == event_id
    assert set(log[1][1]["output"]) == {"id", "name", "data", "at"}


async def test_an_event_told_since_the_run_began_counts_and_one_from_before_does_not(
    kernel: Kernel, telling: Telling
) -> None:
    await telling.tell("deal_signed", deal="before")
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", hold="gate"), awaits()))
        await kernel.world.arrives("gate")
        await telling.tell("deal_signed", deal="since")
        kernel.world.open.add("gate")
        assert (await handle.result())["data"] == {"deal": "since"}


async def test_only_an_event_that_meets_the_condition_wakes_the_run(
    kernel: Kernel, telling: Telling
) -> None:
    step = awaits(matching="event.data.deal == inputs.deal && event.data.amount > steps.least")
    async with kernel.worker():
        handle = await kernel.start(flow(watched("least", 100), step), {"deal": "D-1"})
        run = await kernel.status(handle, "waiting")
        for number in range(60):
            await telling.keep("deal_signed", deal="D-2", amount=number)
        await telling.tell("deal_signed", deal="D-1", amount=1)
        await telling.tell("deal_lost", deal="D-1", amount=200)
        assert await looks(kernel, handle.id) == 1
        await telling.tell("deal_signed", deal="D-1", amount=200)
        assert (await handle.result())["data"]["amount"] == 200
    assert await looks(kernel, handle.id) == 2
    assert (run.waiting_for[0].message or "").startswith("deal_signed, when event.data.deal ==")


async def test_a_condition_that_cannot_be_asked_fails_the_step(
    kernel: Kernel, telling: Telling
) -> None:
    step = awaits(matching="event.data.amount > 100")
    async with kernel.worker():
        handle = await kernel.start(flow(step))
        await kernel.status(handle, "waiting")
        await telling.tell("deal_signed", amount="much")
        run = await kernel.ended(handle)
    assert run.error is not None
    assert (run.error.code, run.error.step) == ("expression_failed", "signed")
    assert run.error.message.endswith('">" cannot take string and int')
    assert await told_of_the_step(kernel, run) == ["step.started", "step.failed"]


async def test_items_take_an_event_each(kernel: Kernel, telling: Telling) -> None:
    """The conditions differ in two of them; the others take what comes, one each."""
    step = awaits(
        for_each="${['D-1', 'D-2', null, null]}",
        matching="item == null ? event.data.deal == 'any' : event.data.deal == item",
    )
    async with kernel.worker():
        handle = await kernel.start(flow(step))
        await telling.noted(4)
        for deal in ("D-2", "any", "D-1"):
            await telling.tell("deal_signed", deal=deal, number=1)
        await telling.noted(1)
        await telling.tell("deal_signed", deal="any", number=2)
        first, second, *others = await handle.result()
    assert (first["data"]["deal"], second["data"]["deal"]) == ("D-1", "D-2")
    assert sorted(each["data"]["number"] for each in others) == [1, 2]


async def test_waiting_steps_of_a_batch_are_woken(kernel: Kernel, telling: Telling) -> None:
    step = awaits(for_each="${range(201)}", when="item == 3")
    async with kernel.worker():
        handle = await kernel.start(flow(step))
        await telling.noted()
        await telling.tell("deal_signed", deal="D-1")
        outputs = await handle.result()
    assert [each["data"] for each in outputs if each] == [{"deal": "D-1"}]


async def test_a_wait_that_nothing_ends_times_out_by_name(kernel: Kernel, telling: Telling) -> None:
    caught = awaits("other", length="20ms", on_error={"steps": [watched("late", "too late")]})
    async with kernel.worker():
        handle = await kernel.start(flow(caught, awaits(length="300ms")))
        await telling.tell("deal_lost", deal="D-1")
        run = await kernel.ended(handle)
    assert run.error is not None
    assert (run.error.code, run.error.step) == ("wait_timed_out", "signed")
    assert run.error.message == "no deal_signed came for `signed` within 0.3s"
    assert kernel.world.calls == {"late": 1}
    assert await kernel.pool.fetchval("SELECT count(*) FROM waits") == 0
    assert await told_of_the_step(kernel, run) == ["step.started", "step.failed"]


async def test_an_event_that_nobody_was_woken_for_is_found_when_the_time_is_up(
    kernel: Kernel, telling: Telling
) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(awaits(length="1s")))
        await telling.noted()
        await telling.keep("deal_signed", deal="D-1")
        assert (await handle.result())["data"] == {"deal": "D-1"}


async def test_what_a_killed_teller_left_is_told_by_the_next(
    kernel: Kernel, telling: Telling
) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(awaits()))
        await telling.noted()
        await telling.keep("deal_signed", deal="D-1")
        await telling.wakes.tell()
        assert (await handle.result())["data"] == {"deal": "D-1"}


async def test_a_paused_run_takes_the_event_once_it_goes_on(
    kernel: Kernel, telling: Telling
) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(awaits(), watched("a", "${steps.signed.data.deal}")))
        await telling.noted()
        await handle.signal(PAUSE, BY)
        await kernel.status(handle, "paused")
        await telling.tell("deal_signed", deal="D-1")
        assert await looks(kernel, handle.id) == 1
        await handle.signal(RESUME, BY)
        assert await handle.result() == "D-1"


async def test_a_cancelled_run_takes_nothing(kernel: Kernel, telling: Telling) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(awaits()))
        await telling.noted()
        await handle.cancel()
        run = await kernel.ended(handle)
        await telling.tell("deal_signed", deal="D-1")
    assert (run.status, run.waiting_for) == ("cancelled", ())
    assert await kernel.pool.fetchval("SELECT count(*) FROM waits") == 0


async def test_a_failed_branch_ends_the_wait_of_its_sibling(
    kernel: Kernel, telling: Telling
) -> None:
    branches = {
        "left": [awaits()],
        "right": [watched("b", hold="gate"), watched("c", fail="for_good")],
    }
    async with kernel.worker():
        handle = await kernel.start(flow({"kind": "parallel", "id": "p", "branches": branches}))
        await telling.noted()
        kernel.world.open.add("gate")
        run = await kernel.ended(handle)
    assert run.error is not None
    assert run.error.step == "c"


async def test_a_retry_is_given_the_event_and_hears_what_came_after_the_first_run_gave_up(
    kernel: Kernel, telling: Telling
) -> None:
    steps = flow(awaits(), awaits("second", length="200ms"), watched("a", 1))
    async with kernel.worker():
        first = await kernel.start(steps)
        await telling.noted()
        taken = await telling.tell("deal_signed", deal="D-1")
        run = await kernel.ended(first)
        assert run.error is not None
        assert run.error.code == "wait_timed_out"
        late = await telling.tell("deal_signed", deal="D-2")
        again = {"given_by": first.id, "lineage": first.id, "trigger": "retry"}
        ids = {**steps, "output": ["${steps.signed.id}", "${steps.second.id}"], "has_output": True}
        second = await kernel.start(ids, **again)
        assert await second.result() == [taken, late]
    assert await looks(kernel, second.id) == 1


async def test_each_visit_of_a_repeated_group_waits_anew(kernel: Kernel, telling: Telling) -> None:
    number = "${steps.signed.data.n}"
    fails = watched("a", number, fail="${steps.signed.data.n == 1 ? 'for_good' : null}")
    group = {"kind": "steps", "id": "g", "retry": QUICK, "steps": [awaits(), fails]}
    async with kernel.worker():
        handle = await kernel.start(flow(group))
        await telling.noted()
        await telling.tell("deal_signed", n=1)
        await telling.tell("deal_signed", n=2)
        assert await handle.result() == 2


async def test_what_the_condition_reads_is_bounded(kernel: Kernel) -> None:
    step = awaits(matching="event.data.text == inputs.text")
    async with kernel.worker():
        run = await kernel.ended(await kernel.start(flow(step), {"text": "x" * 100_001}))
    assert run.error is not None
    assert run.error.code == "value_too_large"


async def test_the_event_of_another_tenant_ends_no_wait(kernel: Kernel, telling: Telling) -> None:
    await kernel.pool.execute("INSERT INTO workspaces (id, name) VALUES ('theirs', 'T')")
    async with kernel.worker():
        handle = await kernel.start(flow(awaits(length="500ms")))
        await telling.noted()
        await telling.keep("deal_signed", "theirs", deal="D-1")
        await telling.wakes.tell()
        run = await kernel.ended(handle)
    assert run.error is not None
    assert run.error.code == "wait_timed_out"


async def test_a_skill_in_python_hears_each_event_once_in_all_its_histories(
    kernel: Kernel, telling: Telling
) -> None:
    async with kernel.worker(Hearing):
        handle = await kernel.start_type("hearing", {"least": 10, "seconds": 2})
        await telling.noted()
        for amount in (20, 5, 30):
            await telling.tell("deal_signed", amount=amount)
        run = await kernel.ended(handle)
    assert run.output == [20, 30, "wait_timed_out"]
