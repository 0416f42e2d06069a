"""A retry goes on at the call that failed: no answer of a model is bought twice."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle

from core.effects import DECIDE, WAKE, ModelRequest
from core.errors import BudgetExceeded, InvalidKey, Overloaded
from core.event import LogEvent
from core.run import Run, TokenUsage
from tests.kernel import Kernel, eventually
from tests.talk import Said, Talk, says
from tests.workflow.flows import flow, watched

BY = {"actor": {"kind": "user", "id": "tester"}}
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
NO_KEY = InvalidKey("there is no such key")


async def closed(handle: WorkflowHandle[Any, Any]) -> None:
    with suppress(WorkflowFailureError):
        await handle.result()


async def log(kernel: Kernel, run: Run) -> list[LogEvent]:
    return await eventually(
        lambda: kernel.histories.log(run), lambda events: events[-1].kind.startswith("run.")
    )


def paths(events: list[LogEvent], kind: str) -> list[str]:
    return [event.step or "" for event in events if event.kind == kind]


class Loop:
    """Four turns: two tools at once, one that a person allows, one more, then the answer."""

    def __init__(self) -> None:
        self.mended = False

    def say(self, request: ModelRequest) -> Said:
        match request.context.path:
            case "think.turn1":
                return says("", ("watched", {"value": 1}), ("watched", {"value": 2}))
            case "think.turn2":
                return says("", ("writes", {"value": 3}))
            case "think.turn3":
                return says("so far", ("watched", {"value": 4}))
            case _ if not self.mended:
                return NO_KEY
            case _:
                return says(f"after {len(request.turns)} turns")


async def test_a_loop_that_failed_goes_on_at_its_fourth_turn(kernel: Kernel) -> None:
    loop = Loop()
    talk = Talk(kernel, loop.say)
    think = {"kind": "reason", "id": "think", "prompt": "Why?", "approve_writes": "always"}
    async with kernel.worker(), talk.worker():
        old = await kernel.start(flow(think))
        await kernel.status(old, "waiting")
        await old.execute_update(DECIDE, {"verdict": "approved", **BY})
        await closed(old)
        failed = await log(kernel, await kernel.ended(old))
        tools = dict(kernel.world.calls)
        loop.mended = True
        new = await kernel.start(flow(think), given_by=old.id)
        output = await new.result()
        events = await log(kernel, await kernel.ended(new))

    assert tools == {
        "think.turn1.watched": 1,
        "think.turn1.watched-2": 1,
        "think.turn2.writes.approved": 1,
        "think.turn3.watched": 1,
    }
    assert paths(failed, "step.failed")[-2:] == ["think.turn4", "think"]
    assert output == "after 7 turns"
    assert kernel.world.calls == tools
    assert talk.calls == {f"think.turn{n}": 1 for n in (1, 2, 3)} | {"think.turn4": 2}
    assert paths(events, "model.called") == ["think.turn4"]
    kept = [event.step or "" for event in events if event.data.get("given")]
    assert sorted(kept) == sorted(
        [*tools, "think.turn1", "think.turn2", "think.turn2.writes.approval", "think.turn3"]
    )


async def test_answers_inside_batches_are_given_with_their_repairs(kernel: Kernel) -> None:
    mended = False

    def say(request: ModelRequest) -> Said:
        path = request.context.path
        if path == "read[5]" and not mended:
            return NO_KEY
        return says("seven") if path == "read[7]" else says('{"n": 1}')

    talk = Talk(kernel, say)
    read = {"kind": "extract", "id": "read", "prompt": "${item}", "output_schema": NUMBER}
    each = {**read, "for_each": "${inputs.items}", "concurrency": 50, "on_error": "continue"}
    body = flow(each, watched("bad", fail="for_good"))
    async with kernel.worker(), talk.worker():
        old = await kernel.start(body, {"items": list(range(202))})
        await closed(old)
        calls = dict(talk.calls)
        mended = True
        talk.calls.clear()
        new = await kernel.start(body, {"items": list(range(202))}, given_by=old.id)
        await closed(new)

    assert calls == {f"read[{n}]": 1 for n in range(202)} | {"read[7].repair": 1}
    assert talk.calls == {"read[5]": 1}


async def test_an_answer_that_waited_for_budget_is_given_too(kernel: Kernel) -> None:
    poor = True

    def say(_request: ModelRequest) -> Said:
        reset = (datetime.now(UTC) + timedelta(hours=5)).isoformat()
        if poor:
            return BudgetExceeded("no tokens are left", resets_at=reset)
        if talk.calls["who"] == 2:
            return Overloaded("too much to do", retry_after=timedelta(milliseconds=10))
        return says('{"n": 7}')

    talk = Talk(kernel, say)
    who = {"kind": "extract", "id": "who", "prompt": "Who?", "output_schema": NUMBER}
    body = flow(who, watched("bad", fail="for_good"))
    async with kernel.worker(), talk.worker():
        old = await kernel.start(body)
        waiting = await kernel.status(old, "waiting")
        stands = (await kernel.histories.steps(waiting)).views()[0].status
        poor = False
        await old.signal(WAKE)
        await closed(old)
        ended = await kernel.ended(old)
        events = await log(kernel, ended)
        spent = (await kernel.histories.steps(ended)).spent
        new = await kernel.start(body, given_by=old.id)
        await closed(new)

    assert [wait.kind for wait in waiting.waiting_for] == ["budget"]
    assert stands == "waiting"
    told = [event.kind for event in events if event.step == "who"]
    assert told == [
        "step.started",
        "step.waiting",
        "step.started",
        "step.retrying",
        "model.called",
        "step.finished",
    ]
    retry = next(event for event in events if event.kind == "step.retrying")
    assert retry.data["code"] == "overloaded"
    assert (spent.tokens, spent.cost) == (TokenUsage(input=100, output=10, total=110), 0.001)
    assert talk.calls["who"] == 3
