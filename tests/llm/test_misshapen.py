"""Servers that call themselves compatible answer with anything: none of it gets past."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import BadResponse, ModelError, RateLimited
from llm.providers import ProviderSettings, open_providers
from tests.llm.asking import KEY, LOOKUP, WAYS, WIRES, House, Way
from tests.receiver import Received, Receiver, reply

SAID = {"role": "assistant", "content": "Hello"}


def choice(message: Any, **fields: Any) -> Any:
    return {"choices": [{"message": message, "finish_reason": "stop", **fields}]}


def calling(call: Any) -> Any:
    return choice({**SAID, "tool_calls": [call]})


def content(*blocks: Any, **fields: Any) -> Any:
    return {"content": list(blocks), "stop_reason": "end_turn", **fields}


MISSHAPEN: dict[str, list[Any]] = {
    "openai": [
        *([], 3, None, "ok", {}),
        *({"choices": []}, {"choices": None}, {"choices": [3]}, {"choices": {"message": 1}}),
        *(choice(None), choice([])),
        *(calling(None), calling({}), calling({"id": "a", "function": {}})),
        calling({"id": "a", "function": {"name": 3, "arguments": "{}"}}),
        choice({**SAID, "tool_calls": 3}),
        *(
            {**choice(SAID), "usage": {"completion_tokens": count}}
            for count in ("many", -5, 10**23)
        ),
    ],
    "anthropic": [
        *([], 3, None, "ok", {}),
        *({"content": None, "stop_reason": "end_turn"}, {"content": [], "stop_reason": None}),
        *(content(3), content({"type": "text"}), content({"type": "text", "text": None})),
        content({"type": "tool_use"}),
        content({"type": "tool_use", "id": 3, "name": "x", "input": {}}),
        *(
            content({"type": "text", "text": "x"}, usage={"output_tokens": count})
            for count in ("many", -5, 10**23)
        ),
    ],
}
CASES = [(wire, body) for wire in WIRES for body in MISSHAPEN[wire]]


async def asked(wire: str, way: Way, answer: bytes) -> Any:
    async def script(_: Received) -> bytes:
        return answer

    async with Receiver(script) as receiver:
        addresses = {"anthropic": receiver.url(""), "openai": receiver.url("/v1")}
        async with open_providers(ProviderSettings(base_urls=addresses)) as providers:
            house = House(None, providers)  # pyright: ignore[reportArgumentType] - not the demo
            return await house.ask(f"{wire}/m", way=way, tools=(LOOKUP,))


def as_json(body: Any) -> bytes:
    return reply(200, json.dumps(body).encode(), content_type="application/json")


def as_events(*events: Any) -> bytes:
    text = "".join(
        f"event: {each.get('type', 'x') if isinstance(each, dict) else 'x'}\n"
        f"data: {json.dumps(each)}\n\n"
        for each in events
    )
    return reply(200, text.encode(), content_type="text/event-stream")


@pytest.mark.parametrize(("wire", "body"), CASES)
@pytest.mark.parametrize("way", WAYS)
async def test_answer_in_no_known_form_is_a_bad_response(wire: str, way: Way, body: Any) -> None:
    with pytest.raises(BadResponse) as caught:
        await asked(wire, way, as_json(body))
    assert KEY not in str(caught.value)


EVENTS: dict[str, list[list[Any]]] = {
    "openai": [[3], [{"choices": [3]}], [{"choices": [{"delta": 3}]}], [{"choices": []}], []],
    "anthropic": [
        *([3], [{"type": "content_block_delta"}], [{"type": "content_block_stop", "index": 1}]),
        *([{"type": "message_start", "message": 3}], [{"type": "unheard_of"}], []),
    ],
}


@pytest.mark.parametrize(("wire", "events"), [(w, each) for w in WIRES for each in EVENTS[w]])
async def test_events_in_no_known_form_are_a_bad_response(wire: str, events: list[Any]) -> None:
    with pytest.raises(BadResponse):
        await asked(wire, "streamed", as_events(*events))


@pytest.mark.parametrize("way", WAYS)
async def test_server_that_knows_no_streams_is_understood(way: Way) -> None:
    answer = await asked("openai", way, as_json(choice(SAID)))
    assert answer.turn.text == "Hello"
    assert answer.usage.estimated


@pytest.mark.parametrize("way", WAYS)
async def test_refusal_inside_of_a_success_is_a_refusal(way: Way) -> None:
    with pytest.raises(RateLimited):
        await asked("openai", way, as_json({"error": {"code": 429, "message": "slow down"}}))


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("way", WAYS)
async def test_key_that_a_server_echoes_is_not_repeated(wire: str, way: Way) -> None:
    body = json.dumps({"error": {"message": f"{'x' * 380} {KEY} is no key", "type": KEY}}).encode()
    for status in (400, 401, 500):
        with pytest.raises(ModelError) as caught:
            await asked(wire, way, reply(status, body, content_type="application/json"))
        assert KEY[:12] not in f"{caught.value} {caught.value.data}"


async def test_arguments_may_come_as_an_object_and_calls_without_ids() -> None:
    call = {"type": "function", "function": {"name": "lookup", "arguments": {"id": 1}}}
    signed = {**call, "extra_content": {"signature": "s"}}
    answer = await asked("openai", "whole", as_json({**calling(signed), "id": "chatcmpl-1"}))
    [use] = answer.turn.tool_uses
    assert (use.id, use.arguments) == ("chatcmpl-1-0", {"id": 1})
    assert answer.turn.native["tool_calls"][0]["function"]["arguments"] == '{"id": 1}'


async def test_what_our_own_words_say_is_not_kept_twice() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}
    for calls, kept in ((call, False), ({**call, "extra_content": {"signature": "s"}}, True)):
        answer = await asked("openai", "whole", as_json(calling(calls)))
        assert (answer.turn.native is not None) is kept
    use = {"type": "tool_use", "id": "toolu_1", "name": "lookup", "input": {"id": 1}}
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    for blocks, kept in (([use], False), ([thought, use], True)):
        body = content(*blocks, stop_reason="tool_use")
        answer = await asked("anthropic", "whole", as_json(body))
        assert (answer.turn.native is not None) is kept
