"""What a retry is given of the run before it: all that finished, by path and digest."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from core.digest import digest_of
from core.effects import DECIDE, ChildReady, ChildRequest, Given, GivenRequest
from core.errors import HistoryGone, NotFound
from core.flow import Flow
from tests.kernel import Kernel, with_children
from tests.workflow.flows import flow, watched

BY = {"actor": {"kind": "user", "id": "tester"}}


async def closed(handle: WorkflowHandle[Any, Any]) -> None:
    with suppress(WorkflowFailureError):
        await handle.result()


async def given(
    kernel: Kernel, run: str, paths: tuple[str, int, int] | None = None
) -> dict[str, Any]:
    """Outputs by path, over all pages."""
    found: dict[str, Any] = {}
    page = 0
    while True:
        request = GivenRequest(workspace=kernel.workspace.id, run=run, paths=paths, page=page)
        got: Given = await kernel.histories.given(request)
        found.update({path: step.output for path, step in got.steps.items()})
        page += 1
        if not got.more:
            return found


def failing_item(**more: Any) -> dict[str, Any]:
    fail = '${item == 3 ? "for_good" : null}'
    return watched("each", "${item}", fail=fail, for_each="${inputs.items}", **more)


async def test_finished_steps_and_items_are_given_and_not_done_again(kernel: Kernel) -> None:
    body = flow(watched("first", {"a": 1}), failing_item(concurrency=1))
    async with kernel.worker():
        old = await kernel.start(body, {"items": list(range(6))})
        await closed(old)
        found = await given(kernel, old.id)
        kernel.world.mended = True
        new = await kernel.start(body, {"items": list(range(6))}, given_by=old.id)
        output = await new.result()
        again = await given(kernel, new.id)

    assert found == {"first": {"a": 1}, "each[0]": 0, "each[1]": 1, "each[2]": 2}
    assert output == list(range(6))
    assert kernel.world.calls["first"] == 1
    assert kernel.world.calls["each[3]"] == 2
    assert again == {"first": {"a": 1}, **{f"each[{n}]": n for n in range(6)}}


async def test_a_changed_request_runs_again(kernel: Kernel) -> None:
    async with kernel.worker():
        old = await kernel.start(flow(watched("a", "${inputs.n}")), {"n": 1})
        await closed(old)
        new = await kernel.start(flow(watched("a", "${inputs.n}")), {"n": 2}, given_by=old.id)
        assert await new.result() == 2
    assert kernel.world.calls["a"] == 2


async def test_waits_and_approvals_that_were_over_are_given(kernel: Kernel) -> None:
    nap = {"kind": "wait", "id": "nap", "length": "20ms"}
    ask = {"kind": "approve", "id": "ask", "message": "Go on?"}
    async with kernel.worker():
        old = await kernel.start(flow(nap, ask, watched("bad", fail="for_good")))
        await kernel.status(old, "waiting")
        await old.execute_update(DECIDE, {"verdict": "approved", **BY})
        await closed(old)
        request = GivenRequest(workspace=kernel.workspace.id, run=old.id)
        found = (await kernel.histories.given(request)).steps

    assert found["nap"].digest == digest_of("wait", "nap")
    assert found["ask"].digest == digest_of("approve", ["ask", "Go on?"])
    assert set(found["ask"].output) == {"step", "approved", "comment", "by", "at"}
    assert found["ask"].output["by"] == BY["actor"]
    assert "bad" not in found


async def test_an_answer_is_given_to_the_same_question_only(kernel: Kernel) -> None:
    ask = {"kind": "approve", "id": "ask", "message": "Pay ${inputs.n}?"}
    body = flow(ask, watched("bad", fail="for_good"))
    async with kernel.worker():
        old = await kernel.start(body, {"n": 5})
        await kernel.status(old, "waiting")
        await old.execute_update(DECIDE, {"verdict": "approved", **BY})
        await closed(old)
        same = await kernel.start(body, {"n": 5}, given_by=old.id)
        await closed(same)
        other = await kernel.start(body, {"n": 5000}, given_by=same.id)
        asked = await kernel.status(other, "waiting")
        await other.cancel()
        await closed(other)
    assert [waiting.message for waiting in asked.waiting_for] == ["Pay 5000?"]


async def test_a_retry_that_never_got_to_its_gifts_passes_them_on(kernel: Kernel) -> None:
    body = flow(watched("a", 1), watched("bad", fail="for_good"))
    async with kernel.worker():
        first = await kernel.start(body)
        await closed(first)
    second = await kernel.start(body, given_by=first.id)
    await second.terminate()

    assert await given(kernel, second.id) == {"a": 1}


async def test_items_of_batches_are_given_by_their_span(kernel: Kernel) -> None:
    body = flow(failing_item(concurrency=20, on_error="continue"), watched("bad", fail="for_good"))
    async with kernel.worker():
        old = await kernel.start(body, {"items": list(range(520))})
        await closed(old)
        same = await given(kernel, old.id, ("each", 500, 519))
        other = await given(kernel, old.id, ("each", 490, 504))
        nothing = await given(kernel, old.id, ("each", 600, 700))
        own = await given(kernel, old.id)
        # A retry reads its batches' gifts only when it comes to them: this one never does.
        kernel.world.calls.clear()
        new = await kernel.start(body, {"items": list(range(520))}, given_by=old.id)
        await closed(new)
        third = await given(kernel, new.id, ("each", 0, 499))

    assert same == {f"each[{n}]": n for n in range(500, 520)}
    assert other == {f"each[{n}]": n for n in range(490, 505)}
    assert nothing == {}
    assert own == {}
    assert set(kernel.world.calls) == {"each[3]", "bad"}
    assert third == {f"each[{n}]": n for n in range(500) if n != 3}


async def test_pages_stay_below_what_one_payload_may_hold(kernel: Kernel) -> None:
    text = "x" * 400_000
    body = flow(*(watched(f"s{n}", text) for n in range(5)), watched("bad", fail="for_good"))
    async with kernel.worker():
        old = await kernel.start(body)
        await closed(old)
        sizes: list[int] = []
        more = True
        while more:
            request = GivenRequest(workspace=kernel.workspace.id, run=old.id, page=len(sizes))
            page = await kernel.histories.given(request)
            sizes.append(len(page.model_dump_json()))
            more = page.more
        kernel.world.calls.clear()
        new = await kernel.start(body, given_by=old.id)
        await closed(new)

    assert len(sizes) == 3
    assert max(sizes) < 1_000_000
    assert set(kernel.world.calls) == {"bad"}


async def test_nobody_is_given_what_another_workspace_did(kernel: Kernel) -> None:
    async with kernel.worker():
        old = await kernel.start(flow(watched("a", 1)))
        await closed(old)
    with pytest.raises(NotFound):
        await kernel.histories.given(GivenRequest(workspace="somebody-else", run=old.id))


async def test_a_history_that_is_gone_has_a_name(kernel: Kernel) -> None:
    with pytest.raises(HistoryGone):
        await kernel.histories.given(GivenRequest(workspace=kernel.workspace.id, run="long-gone"))


class Children:
    """Every skill is one flow of one watched step, that fails until the world is mended."""

    async def prepare(self, request: ChildRequest) -> ChildReady:
        origin = request.origin.model_copy(
            update={
                "skill": request.skill,
                "parent": request.parent,
                "depth": request.origin.depth + 1,
                "given_by": request.given_by,
            }
        )
        fail = "for_good" if request.skill == "broken" else None
        body = flow(watched("paid", 1), watched(f"{request.skill}_end", 2, fail=fail))
        return ChildReady(
            kind="flow", origin=origin, flow=Flow.model_validate(body), inputs=request.inputs
        )


async def test_a_child_run_is_given_whole_or_goes_on_where_it_stood(kernel: Kernel) -> None:
    kernel = with_children(kernel, Children())
    good = {"kind": "skill", "id": "good", "skill": "good", "inputs": {"n": 1}}
    broken = {"kind": "skill", "id": "broken", "skill": "broken"}
    async with kernel.worker():
        old = await kernel.start(flow(good, broken))
        await closed(old)
        request = GivenRequest(workspace=kernel.workspace.id, run=old.id)
        found = await kernel.histories.given(request)
        child = found.children["broken"]
        inside = await given(kernel, child)
        kernel.world.mended = True
        kernel.world.calls.clear()
        new = await kernel.start(flow(good, broken), given_by=old.id)
        assert await new.result() == 2

    body = {"skill": "good", "inputs": {"n": 1}}
    assert set(found.steps) == {"good"}
    assert found.steps["good"].digest == digest_of("skill", body)
    assert set(found.children) == {"broken"}
    assert child.startswith("broken-")
    assert inside == {"paid": 1}
    assert kernel.world.calls == {"broken_end": 1}


@pytest.mark.usefixtures("early_batches")
async def test_items_of_batches_that_were_filled_are_given_as_well(kernel: Kernel) -> None:
    """Such a batch left the rest of its items to another, whose span no batch asks for again."""
    step = watched("each", "${inputs.text + string(item)}", for_each="${range(60)}", concurrency=6)
    body = flow(step, watched("bad", fail="for_good"))
    async with kernel.worker():
        old = await kernel.start(body, {"text": "x" * 30_000})
        await closed(old)
        assert len(kernel.world.calls) == 61
        kernel.world.mended = True
        kernel.world.calls.clear()
        new = await kernel.start(body, {"text": "x" * 30_000}, given_by=old.id)
        await closed(new)
    assert kernel.world.calls == {"bad": 1}
