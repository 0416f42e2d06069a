"""Model steps over a model that answers what the test wrote down."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest

from core.execution import Approval, Ask, Compute, StepFailed
from core.flow import Flow
from core.interpreter import execute
from core.llm import AnswersTurn, ModelAnswer, ModelTurn, ToolUse, Usage, UserTurn
from core.run import Failure
from tests.unit.test_interpreter import Remembering

SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer", "minimum": 18}},
    "required": ["age"],
}


def says(text: str, stop: Any = "end") -> ModelAnswer:
    return ModelAnswer(turn=ModelTurn(text=text), stop=stop, usage=Usage(), model="demo/x")


def calls(*uses: ToolUse) -> ModelAnswer:
    turn = ModelTurn(tool_uses=uses)
    return ModelAnswer(turn=turn, stop="tools", usage=Usage(), model="demo/x")


def use(name: str, arguments: dict[str, Any] | None = None, id: str = "1") -> ToolUse:
    return ToolUse(id=id, name=name, arguments=arguments if arguments is not None else {})


class Talking(Remembering):
    def __init__(self, *answers: ModelAnswer, tool: Any = None) -> None:
        super().__init__(tool)
        self.answers = list(answers)
        self.asked: list[Ask] = []
        self.approvals: list[Approval] = []

    async def ask(self, call: Ask) -> ModelAnswer:
        self.asked.append(call)
        return self.answers.pop(0)

    async def within(self, path: str, limit: timedelta, work: Awaitable[Any]) -> Any:
        return await work

    async def approve(self, call: Approval, halted: Any) -> Any:
        self.approvals.append(call)
        return {"approved": True}


async def run(effects: Talking, *steps: dict[str, Any], **inputs: Any) -> Any:
    flow = Flow.model_validate({"steps": steps})
    known = {"inputs": inputs, "event": None, "workspace": {}, "run": {}}
    return await execute(flow, known, effects)


def extract(**more: Any) -> dict[str, Any]:
    step = {"kind": "extract", "id": "who", "prompt": "Read ${inputs.text}"}
    return {**step, "output_schema": SCHEMA, **more}


def reason(**more: Any) -> dict[str, Any]:
    return {"kind": "reason", "id": "think", "prompt": "Why?", **more}


@pytest.mark.parametrize("kind", ["extract", "classify", "generate"])
async def test_a_call_is_given_the_time_of_its_step(kind: str) -> None:
    more = {"extract": {"output_schema": SCHEMA}, "classify": {"labels": {"yes": "", "no": ""}}}
    step = {"kind": kind, "id": "say", "prompt": "Hi", "timeout": "7s", **more.get(kind, {})}
    said = {"extract": '{"age": 40}', "classify": '{"label": "yes"}', "generate": "Hello"}
    effects = Talking(says(said[kind]))
    await run(effects, step)
    assert [asked.timeout for asked in effects.asked] == [timedelta(seconds=7)]


async def test_extract_renders_its_prompt_and_gives_json() -> None:
    effects = Talking(says('{"age": 40}'))
    assert await run(effects, extract(), text="Ada is 40") == {"age": 40}
    [asked] = effects.asked
    assert asked.turns == (UserTurn(text="Read Ada is 40"),)
    assert (asked.capability, asked.path, asked.output_schema) == ("extract", "who", SCHEMA)


async def test_fenced_answer_is_read() -> None:
    fenced = 'Here you are:\n```json\n{"age": 40}\n```'
    assert await run(Talking(says(fenced)), extract(), text="") == {"age": 40}


async def test_answer_that_breaks_its_schema_is_mended_once() -> None:
    effects = Talking(says('{"age": 4}'), says('{"age": 44}'))
    assert await run(effects, extract(), text="") == {"age": 44}
    repair = effects.asked[1]
    assert repair.path == "who.repair"
    assert isinstance(repair.turns[-1], UserTurn)
    assert "18" in repair.turns[-1].text


async def test_answer_that_stays_wrong_fails_the_step() -> None:
    with pytest.raises(StepFailed, match="does not fit its schema") as caught:
        await run(Talking(says("no"), says("never")), extract(), text="")
    assert caught.value.failure.code == "answer_invalid"


@pytest.mark.parametrize(
    ("stop", "code"),
    [("length", "answer_cut"), ("refusal", "answer_refused"), ("context", "context_window")],
)
async def test_half_an_answer_is_no_answer(stop: str, code: str) -> None:
    generate = {"kind": "generate", "id": "text", "prompt": "Write"}
    with pytest.raises(StepFailed) as caught:
        await run(Talking(says("Once upon a", stop)), generate)
    assert caught.value.failure.code == code


async def test_classify_gives_the_label_alone() -> None:
    effects = Talking(says('{"label": "late"}'))
    labels = {"late": "past its date", "fine": None}
    step = {"kind": "classify", "id": "state", "prompt": "How is it?", "labels": labels}
    assert await run(effects, step) == "late"
    assert isinstance(effects.asked[0].turns[0], UserTurn)
    assert "- late: past its date" in effects.asked[0].turns[0].text


async def test_loop_gives_the_model_what_its_tools_said() -> None:
    effects = Talking(
        calls(use("look", {"value": 1}, "a"), use("look", {"value": 2}, "b")), says("done")
    )
    assert await run(effects, reason()) == "done"
    assert effects.paths == ["think.turn1.look", "think.turn1.look-2"]
    last = effects.asked[1].turns[-1]
    assert isinstance(last, AnswersTurn)
    assert [(each.id, each.content, each.failed) for each in last.answers] == [
        ("a", "1", False),
        ("b", "2", False),
    ]


async def test_whatever_goes_wrong_with_a_tool_is_told_to_the_model() -> None:
    def tool(call: Compute) -> Any:
        failure = Failure(code="tool_unknown", message="there is no tool", step=call.path)
        raise StepFailed(failure, told=True)

    broken = ToolUse(id="c", name="look", arguments=None, fault="cut off")
    effects = Talking(calls(use("gone"), use("No Name", id="b"), broken), says("ok"), tool=tool)
    assert await run(effects, reason()) == "ok"
    last = effects.asked[1].turns[-1]
    assert isinstance(last, AnswersTurn)
    assert all(each.failed for each in last.answers)
    assert "tool_unknown" in last.answers[0].content
    assert "cut off" in last.answers[2].content
    assert effects.paths == ["think.turn1.gone"]


async def test_loop_is_bounded_by_its_turns() -> None:
    effects = Talking(*[calls(use("look", {"value": 1}))] * 3)
    with pytest.raises(StepFailed, match="no answer after 3 turns"):
        await run(effects, reason(turns=3))


async def test_write_waits_for_a_person_where_the_step_says_so() -> None:
    def tool(call: Compute) -> Any:
        if call.approve_writes == "always":
            raise StepFailed(Failure(code="approval_needed", message="", step=call.path))
        return "sent"

    effects = Talking(calls(use("send", {"to": "x"})), says("done"), tool=tool)
    assert await run(effects, reason(approve_writes="always")) == "done"
    assert [each.path for each in effects.approvals] == ["think.turn1.send.approval"]
    assert effects.paths == ["think.turn1.send", "think.turn1.send.approved"]


async def test_long_tool_results_are_cut_and_say_so() -> None:
    effects = Talking(calls(use("look")), says("done"), tool=lambda _: "x" * 100_000)
    await run(effects, reason())
    last = effects.asked[1].turns[-1]
    assert isinstance(last, AnswersTurn)
    assert len(last.answers[0].content) < 31_000
    assert "100,000 characters in all" in last.answers[0].content


async def test_reasoned_answer_with_a_schema_is_checked_too() -> None:
    effects = Talking(says("thinking…"), says(json.dumps({"age": 30})))
    assert await run(effects, reason(output_schema=SCHEMA)) == {"age": 30}
