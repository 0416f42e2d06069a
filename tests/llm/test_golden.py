"""Each case asks a server that refuses what the vendors refuse, over both wires and both ways."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from core.errors import ContextWindow, InvalidModelRequest
from core.llm import (
    AnswersTurn,
    ModelAnswer,
    ModelTurn,
    ToolAnswer,
    ToolUse,
    UserTurn,
)
from tests.llm.asking import LOOKUP, PERSON, PING, WAYS, WIRES, answers, tool

if TYPE_CHECKING:
    from tests.llm.asking import House, Way

pytestmark = [pytest.mark.parametrize("wire", WIRES), pytest.mark.parametrize("way", WAYS)]


def asked_of(house: House, wire: str) -> list[dict[str, Any]]:
    """The messages that were sent, without the system's."""
    return [message for message in house.sent["messages"] if message["role"] != "system"]


async def test_system_prompt_goes_where_the_wire_wants_it(
    house: House, wire: str, way: Way
) -> None:
    answer = await house.ask(f"{wire}/m", "Hello", way=way, system="Be brief.")
    first = house.sent["messages"][0]
    told = house.sent["system"] if wire == "anthropic" else first["content"]
    assert told == "Be brief."
    assert answer.turn.text == "[demo model] Asked in 1 words: Hello"
    assert answer.stop == "end"
    assert answer.model == f"{wire}/m"


async def test_streamed_text_is_the_text_of_the_answer(house: House, wire: str, way: Way) -> None:
    text = "A question of several words, so that the answer comes in pieces."
    answer = await house.ask(f"{wire}/m", text, way=way)
    assert answer.turn.text.endswith(text)
    if way == "streamed":
        assert len(house.heard) > 2
        assert "".join(house.heard) == answer.turn.text
    else:
        assert not house.heard


async def test_one_tool_round_trip_ends_in_an_answer(house: House, wire: str, way: Way) -> None:
    first = await house.ask(f"{wire}/m", "Look at 17", way=way, tools=(LOOKUP,))
    assert first.stop == "tools"
    [use] = first.turn.tool_uses
    assert (use.name, use.arguments) == ("lookup", {"id": 17})
    results = answers(first, '{"deals": 3}')
    second = await house.ask(
        f"{wire}/m", "Look at 17", first.turn, results, way=way, tools=(LOOKUP,)
    )
    assert second.turn.text == "[demo model] lookup: deals 3"


async def test_three_calls_are_answered_in_order_and_before_any_text(
    house: House, wire: str, way: Way
) -> None:
    model = f"{wire}/fake-loop-2x3"
    first = await house.ask(model, "Go", way=way, tools=(LOOKUP,))
    assert [use.arguments for use in first.turn.tool_uses] == [{"id": n} for n in range(3)]
    given = answers(first, "a", "b", "c")
    backwards = AnswersTurn(answers=given.answers[::-1])
    await house.ask(model, "Go", first.turn, backwards, "And now?", way=way, tools=(LOOKUP,))
    sent = asked_of(house, wire)
    if wire == "anthropic":
        [results] = [message for message in sent[2:] if message["role"] == "user"]
        kinds = [block["type"] for block in results["content"]]
        assert kinds == ["tool_result"] * 3 + ["text"]
        said = [block.get("content") for block in results["content"][:3]]
    else:
        said = [message["content"] for message in sent if message["role"] == "tool"]
    assert said == ["a", "b", "c"]
    assert not house.rules


async def test_calls_come_one_at_a_time_where_asked(house: House, wire: str, way: Way) -> None:
    answer = await house.ask(
        f"{wire}/fake-loop-1x3", "Go", way=way, tools=(LOOKUP,), parallel_tools=False
    )
    assert len(answer.turn.tool_uses) == 1
    if wire == "anthropic":
        assert house.sent["tool_choice"]["disable_parallel_tool_use"] is True
    else:
        assert house.sent["parallel_tool_calls"] is False
    await house.ask(f"{wire}/m", "No tools", way=way, parallel_tools=False)
    assert not house.rules


@pytest.mark.parametrize("content", ["it broke", "", "  "])
async def test_model_sees_that_a_tool_failed(
    house: House, wire: str, way: Way, content: str
) -> None:
    first = await house.ask(f"{wire}/m", "Go", way=way, tools=(LOOKUP,))
    results = answers(first, content, failed=True)
    second = await house.ask(f"{wire}/m", "Go", first.turn, results, way=way, tools=(LOOKUP,))
    said = content.strip() or "(no output)"
    prefix = "" if wire == "anthropic" else "ERROR: "
    assert second.turn.text == f"[demo model] lookup failed: {prefix}{said}"


async def test_empty_output_of_a_tool_is_said_to_be_empty(
    house: House, wire: str, way: Way
) -> None:
    first = await house.ask(f"{wire}/m", "Go", way=way, tools=(LOOKUP,))
    second = await house.ask(
        f"{wire}/m", "Go", first.turn, answers(first, ""), way=way, tools=(LOOKUP,)
    )
    assert second.turn.text == "[demo model] lookup: (no output)"


@pytest.mark.parametrize("lost", ["all", "one", "turn"])
async def test_lost_results_are_told_as_lost(house: House, wire: str, way: Way, lost: str) -> None:
    model = f"{wire}/fake-loop-1x2"
    first = await house.ask(model, "Go", way=way, tools=(LOOKUP,))
    kept = answers(first, "here").answers[: 1 if lost == "one" else 0]
    between = () if lost == "turn" else (AnswersTurn(answers=kept),)
    await house.ask(model, "Go", first.turn, *between, "Well?", way=way, tools=(LOOKUP,))
    assert json.dumps(house.sent).count("no result: the call was interrupted") == 2 - len(kept)
    assert not house.rules


async def test_orphans_and_second_answers_are_left_out(house: House, wire: str, way: Way) -> None:
    first = await house.ask(f"{wire}/m", "Go", way=way, tools=(LOOKUP,))
    [given] = answers(first, "the first").answers
    orphan = ToolAnswer(id="nobody", content="an orphan")
    results = AnswersTurn(answers=(orphan, given, given.model_copy(update={"content": "again"})))
    trimmed = (AnswersTurn(answers=(orphan,)), UserTurn(text="Go"), first.turn, results)
    await house.ask(f"{wire}/m", *trimmed, way=way, tools=(LOOKUP,))
    assert "the first" in json.dumps(house.sent)
    assert "orphan" not in json.dumps(house.sent)
    assert "again" not in json.dumps(house.sent)


async def test_history_may_begin_in_the_midst(house: House, wire: str, way: Way) -> None:
    before = ModelTurn(text="As I said.")
    answer = await house.ask(f"{wire}/m", before, UserTurn(text="What?"), way=way)
    assert answer.stop == "end"


@pytest.mark.parametrize("ids", ["odd-ids", "same-ids", "no-ids"])
@pytest.mark.parametrize("to", WIRES)
async def test_ids_of_one_provider_fit_another(
    house: House, wire: str, way: Way, ids: str, to: str
) -> None:
    model = f"openai/fake-loop-2x2+{ids}"
    first = await house.ask(model, "Go", way=way, tools=(LOOKUP,))
    history = (UserTurn(text="Go"), first.turn, answers(first, "a", "b"))
    if ids != "odd-ids":  # which the provider they came from would take back, and this one not
        second = await house.ask(model, *history, way=way, tools=(LOOKUP,))
        history = (*history, second.turn, answers(second, "c", "d"))
    other = f"{to}/fake-loop-2x2" if wire == "anthropic" else f"{to}/other"
    await house.ask(other, *history, way=way, tools=(LOOKUP,))
    assert not house.rules


async def test_no_arguments_are_empty_arguments(house: House, wire: str, way: Way) -> None:
    answer = await house.ask(f"{wire}/fake-empty-args", "Go", way=way, tools=(PING,))
    [use] = answer.turn.tool_uses
    assert (use.arguments, use.fault) == ({}, None)


async def test_arguments_that_are_no_json_are_no_arguments(
    house: House, wire: str, way: Way
) -> None:
    first = await house.ask(f"{wire}/fake-bad-args", "Go", way=way, tools=(LOOKUP,))
    [use] = first.turn.tool_uses
    if (wire, way) == ("anthropic", "whole"):
        assert use.arguments == {}, "whole, this wire has only arguments that are JSON"
        return
    assert use.arguments is None
    assert use.fault is not None
    assert "no JSON" in use.fault
    told = answers(first, use.fault, failed=True)
    second = await house.ask(f"{wire}/m", "Go", first.turn, told, way=way, tools=(LOOKUP,))
    assert second.stop == "end"


async def test_call_that_was_cut_off_is_never_carried_out(
    house: House, wire: str, way: Way
) -> None:
    answer = await house.ask(f"{wire}/fake-cut-args", "Go", way=way, tools=(LOOKUP,))
    assert answer.stop == "length"
    assert [use.arguments for use in answer.turn.tool_uses] == [None]
    again = await house.ask(f"{wire}/m", "Go", answer.turn, "Again", way=way, tools=(LOOKUP,))
    assert again.stop in ("end", "tools")


async def test_text_that_was_cut_off_says_so(house: House, wire: str, way: Way) -> None:
    answer = await house.ask(f"{wire}/fake-length", "A long question", way=way)
    assert answer.stop == "length"
    limited = await house.ask(f"{wire}/m", "word " * 30, way=way, max_tokens=5)
    assert limited.stop == "length"


async def test_half_of_a_json_answer_is_not_passed_off_as_whole(
    house: House, wire: str, way: Way
) -> None:
    answer = await house.ask(
        f"{wire}/fake-length", "name: Ann\nage: 33", way=way, output_schema=PERSON
    )
    assert answer.stop == "length"
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(answer.content)


async def test_unknown_tool_is_an_ordinary_call(house: House, wire: str, way: Way) -> None:
    answer = await house.ask(f"{wire}/fake-unknown-tool", "Go", way=way, tools=(LOOKUP,))
    assert [use.name for use in answer.turn.tool_uses] == ["lookup", "no_such_tool"]
    told = answers(answer, "3", "there is no tool no_such_tool")
    second = await house.ask(f"{wire}/m", "Go", answer.turn, told, way=way, tools=(LOOKUP,))
    assert second.stop == "end"


async def test_calls_count_whatever_the_reason_of_the_end(
    house: House, wire: str, way: Way
) -> None:
    answer = await house.ask(f"{wire}/fake-stop-with-tools", "Go", way=way, tools=(LOOKUP,))
    assert answer.stop == "tools"


async def test_refusal_is_neither_an_error_nor_an_empty_success(
    house: House, wire: str, way: Way
) -> None:
    answer = await house.ask(f"{wire}/fake-refusal", way=way)
    assert answer.stop == "refusal"
    again = await house.ask(f"{wire}/m", "Hello", answer.turn, "Please", way=way)
    assert again.stop == "end"


async def test_full_context_is_named(house: House, wire: str, way: Way) -> None:
    if wire == "anthropic":
        assert (await house.ask("anthropic/fake-context", way=way)).stop == "context"
    with pytest.raises(ContextWindow):
        await house.ask(f"{wire}/fake-toolong", way=way)
    if wire == "openai":
        with pytest.raises(ContextWindow):
            await house.ask("openai/fake-context", way=way)


async def test_pause_is_told_where_there_is_one(house: House, wire: str, way: Way) -> None:
    answer = await house.ask(f"{wire}/fake-pause", way=way)
    assert answer.stop == ("pause" if wire == "anthropic" else "end")


async def test_turns_without_a_word_are_not_sent(house: House, wire: str, way: Way) -> None:
    turns = ("Hello", ModelTurn(text=""), ModelTurn(text=" \n"), UserTurn(text="  "))
    await house.ask(f"{wire}/m", *turns, way=way)
    assert {message["role"] for message in asked_of(house, wire)} == {"user"}
    calls = ModelTurn(tool_uses=(ToolUse(id="a", name="lookup", arguments={"id": 1}),))
    await house.ask(f"{wire}/m", "Hello", calls, "And?", way=way, tools=(LOOKUP,))
    assert not house.rules


ECHOES = {
    "anthropic": ("anthropic/claude-sonnet-5-5", "anthropic/claude-opus-5-5"),
    "openai": ("gemini/gemini-3", "fireworks/deepseek-v4-flash"),
}


async def test_what_came_with_a_call_goes_back_to_where_it_came_from(
    house: House, wire: str, way: Way
) -> None:
    for model in ECHOES[wire]:
        first = await house.ask(model, "Go", way=way, tools=(LOOKUP,))
        stripped = first.turn.model_copy(update={"native": None})
        with pytest.raises(InvalidModelRequest) as refused:
            await house.ask(model, "Go", stripped, answers(first, "x"), way=way, tools=(LOOKUP,))
        assert refused.value.data["rule"] in (
            "thinking-echo",
            "thought-signature",
            "reasoning-content",
        )
        history = ("Go", first.turn, answers(first, "x"))
        assert (await house.ask(model, *history, way=way, tools=(LOOKUP,))).stop == "end"


async def test_what_came_with_a_call_goes_to_nobody_else(house: House, wire: str, way: Way) -> None:
    here, there = ECHOES[wire]
    first = await house.ask(here, "Go", way=way, tools=(LOOKUP,))
    history = ("Go", first.turn, answers(first, "x"))
    assert (await house.ask(there, *history, way=way, tools=(LOOKUP,))).stop == "end"
    forged = first.turn.model_copy(update={"origin": there})
    if wire == "anthropic":
        with pytest.raises(InvalidModelRequest, match="thinking-signature"):
            await house.ask(there, "Go", forged, answers(first, "x"), way=way, tools=(LOOKUP,))


async def test_conversation_moves_between_wires_in_the_midst_of_a_loop(
    house: House, wire: str, way: Way
) -> None:
    other = "openai" if wire == "anthropic" else "anthropic"
    first = await house.ask(f"{wire}/fake-loop-2x2", "Go", way=way, tools=(LOOKUP,))
    history = (UserTurn(text="Go"), first.turn, answers(first, "a", "b"))
    second = await house.ask(f"{other}/fake-loop-2x2", *history, way=way, tools=(LOOKUP,))
    history = (*history, second.turn, answers(second, "c", "d"))
    last = await house.ask(f"{wire}/fake-loop-2x2", *history, way=way, tools=(LOOKUP,))
    assert last.turn.text.startswith("[demo model] 4 results")


async def test_neither_thinking_nor_sampling_nor_a_forced_tool_is_ever_asked_for(
    house: House, wire: str, way: Way
) -> None:
    await house.ask(
        f"{wire}/m", "name: Ann\nage: 20", way=way, tools=(LOOKUP,), output_schema=PERSON
    )
    banned = {"temperature", "top_p", "top_k", "thinking"}
    assert not banned & set(house.sent)
    assert house.sent.get("tool_choice", {}).get("type", "auto") == "auto"


async def test_same_schema_serves_both_wires(house: House, wire: str, way: Way) -> None:
    answer = await house.ask(f"{wire}/m", "name: Ann\nage: 33", way=way, output_schema=PERSON)
    assert json.loads(answer.content) == {"name": "Ann", "age": 33}
    if wire == "openai":
        form = house.sent["response_format"]["json_schema"]
        assert form["strict"] is True
        assert form["schema"]["required"] == ["name", "age", "nickname"]


async def test_constraints_that_nobody_enforces_are_told_and_left_to_the_asker(
    house: House, wire: str, way: Way
) -> None:
    answer = await house.ask(f"{wire}/m", "name: Ann\nage: 3", way=way, output_schema=PERSON)
    assert json.loads(answer.content)["age"] == 3
    assert "minimum: 18" in json.dumps(house.sent)


LISTED = {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}}
FREE = {"type": "object", "properties": {"extra": {"type": "object"}}, "required": ["extra"]}


@pytest.mark.parametrize("schema", [LISTED, {"type": "string"}, FREE], ids=["list", "text", "free"])
async def test_any_schema_can_be_asked_for(
    house: House, wire: str, way: Way, schema: dict[str, Any]
) -> None:
    text = '{"deals": [{"name": "Acme"}, {"name": "Globex"}], "extra": {"a": 1}}'
    answer = await house.ask(f"{wire}/m", text, way=way, output_schema=schema)
    assert not house.rules
    if schema is LISTED:
        assert json.loads(answer.content) == [{"name": "Acme"}, {"name": "Globex"}]
    elif schema is FREE:
        assert "JSON Schema" in json.dumps(house.sent)
    else:
        assert isinstance(json.loads(answer.content), str)


async def test_fences_around_json_are_taken_off(house: House, wire: str, way: Way) -> None:
    model = f"{wire}/fake-fenced-json"
    answer = await house.ask(model, "name: Ann\nage: 33", way=way, output_schema=PERSON)
    assert json.loads(answer.content) == {"name": "Ann", "age": 33}


async def test_limit_has_the_name_that_the_provider_knows(
    house: House, wire: str, way: Way
) -> None:
    name = "max_tokens" if wire == "anthropic" else "max_completion_tokens"
    await house.ask(f"{wire}/m", way=way, max_tokens=77)
    assert house.sent[name] == 77
    await house.ask("fireworks/m", way=way, max_tokens=77)
    assert house.sent["max_tokens"] == 77


async def test_tokens_are_counted_once_each(house: House, wire: str, way: Way) -> None:
    answer = await house.ask(f"{wire}/fake-cached", "word " * 100, way=way)
    usage, size = answer.usage, len(json.dumps(house.sent)) // 4
    assert usage.cache_read == pytest.approx(size // 2, abs=40)
    assert usage.cache_write == pytest.approx(size // 4, abs=20)
    assert usage.input + usage.cache_read + usage.cache_write == pytest.approx(size, abs=80)
    assert not usage.estimated
    assert usage.output > 1


async def test_what_nobody_counted_is_estimated_and_never_nothing(
    house: House, wire: str, way: Way
) -> None:
    answer = await house.ask(f"{wire}/fake-no-usage", "word " * 100, way=way)
    assert answer.usage.estimated
    assert answer.usage.input > 100
    assert answer.usage.output > 10


async def test_what_is_sent_again_begins_the_same(house: House, wire: str, way: Way) -> None:
    tools = (tool("zeta"), tool("alpha"))
    await house.ask(f"{wire}/m", way=way, tools=tools)
    one = house.sent["tools"]
    await house.ask(f"{wire}/m", way=way, tools=tools[::-1])
    assert house.sent["tools"] == one
    assert ("cache_control" in house.sent) == (wire == "anthropic")
    await house.ask(f"{wire}/m", way=way)
    assert "cache_control" not in house.sent


async def test_tools_that_are_offered_no_more_may_still_be_spoken_of(
    house: House, wire: str, way: Way
) -> None:
    first = await house.ask(f"{wire}/m", "Go", way=way, tools=(LOOKUP,))
    last: ModelAnswer = await house.ask(
        f"{wire}/m", "Go", first.turn, answers(first, "3"), "Say it in JSON", way=way
    )
    assert last.stop == "end"
    assert not last.turn.tool_uses
