"""Answers that are larger, deeper or odder than anybody can keep."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from core.errors import BadResponse, InvalidModelRequest, ModelError, RateLimited
from core.llm import ModelAnswer, ModelQuestion, UserTurn
from llm.models import load
from llm.providers.adapter import Adapter, Patience
from llm.providers.answering import LARGEST_ANSWER
from llm.providers.answers import grow
from llm.providers.openai_compatible import CompletionsWire
from tests.llm.asking import KEY, LOOKUP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MUCH = b" " * 2**20
LONG_KEY = KEY + "x" * 80


class Endless(httpx2.AsyncByteStream):
    def __init__(self, piece: bytes) -> None:
        self.piece = piece
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.sent += len(self.piece)
            assert self.sent < 2 * LARGEST_ANSWER
            yield self.piece


async def asked(response: httpx2.Response, key: str = KEY) -> ModelAnswer:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: response)) as pool:
        adapter = Adapter(
            "openai", CompletionsWire(), "http://127.0.0.1:9", pool, load(), Patience()
        )
        turns = (UserTurn(text="Hello"),)
        question = ModelQuestion(model="openai/m", turns=turns, tools=(LOOKUP,))
        return await adapter.ask(question, key, lambda _: None)


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


def events(*deltas: dict[str, Any]) -> bytes:
    return b"".join(map(event, deltas)) + event({}, "stop")


def stream(content: bytes | Endless, kind: str = "text/event-stream") -> httpx2.Response:
    headers = {"content-type": kind}
    if isinstance(content, Endless):
        return httpx2.Response(200, headers=headers, stream=content)
    return httpx2.Response(200, headers=headers, content=content)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx2.Response(400, stream=Endless(MUCH)), InvalidModelRequest),
        (httpx2.Response(200, stream=Endless(MUCH)), BadResponse),
        (stream(Endless(event({"content": "x" * 2**20}))), BadResponse),
        (stream(Endless(b"data: " + MUCH + b"\n\n")), BadResponse),
    ],
)
async def test_no_more_is_read_than_an_answer_can_be(
    response: httpx2.Response, error: type[ModelError]
) -> None:
    with pytest.raises(error):
        await asked(response)


def test_texts_of_many_pieces_are_not_copied_for_each() -> None:
    texts: dict[str, str] = {}
    began = time.process_time()
    for _ in range(LARGEST_ANSWER // 400):
        grow(texts, "content", "x" * 400)
    assert time.process_time() - began < 2
    assert len(texts["content"]) == LARGEST_ANSWER // 400 * 400


async def test_halves_of_a_character_are_put_together_and_lone_ones_replaced() -> None:
    halves = events({"content": "so \ud83d"}, {"content": "\ude00 and \ud83d"})
    answer = await asked(stream(halves))
    assert answer.turn.text == "so \U0001f600 and \ufffd"


@pytest.mark.parametrize(
    "arguments", ['{"id": "\\ud83d"}', '{"id": ' + "[" * 400 + "]" * 400 + "}"]
)
async def test_arguments_that_cannot_be_kept_are_a_fault_of_the_call(arguments: str) -> None:
    function = {"name": "lookup", "arguments": arguments}
    answer = await asked(stream(events({"tool_calls": [{"id": "a", "function": function}]})))
    (use,) = answer.turn.tool_uses
    assert (use.arguments, "cannot be kept" in (use.fault or "")) == (None, True)
    answer.model_dump_json()


@pytest.mark.parametrize(
    "deltas",
    [
        [{"content": 5}],
        [{"deep": json.loads("[" * 300 + "]" * 300)}],
        [{"tool_calls": [{"index": "a"}, {"index": 1}]}],
    ],
)
async def test_streams_that_cannot_be_kept_are_bad_responses(deltas: list[dict[str, Any]]) -> None:
    with pytest.raises(BadResponse):
        await asked(stream(events(*deltas)))


async def test_depths_that_can_be_read_but_not_written_are_a_bad_response() -> None:
    for depth in range(900, 1000):
        deep = '{"choices": [{"message": {"content": "x"}}], "deep": '
        content = deep + "[" * depth + "]" * depth + "}"
        with suppress(BadResponse):
            await asked(httpx2.Response(200, content=content))


@pytest.mark.parametrize(
    ("code", "after"),
    [("²", "1"), ("9" * 5000, "1"), ("x", "Wed, 21 Oct 2015 07:28:00 +" + "9" * 17)],
)
async def test_odd_codes_and_dates_hide_no_refusal(code: str, after: str) -> None:
    body = {"error": {"message": "slow down", "code": code}}
    with pytest.raises(RateLimited):
        await asked(httpx2.Response(429, json=body, headers={"retry-after": after}))


async def test_no_part_of_the_key_is_shown_where_it_came_back_as_a_number() -> None:
    usage = json.dumps({"choices": [], "usage": {"completion_tokens": LONG_KEY}})
    with pytest.raises(BadResponse) as caught:
        await asked(stream(events({"content": "x"}) + f"data: {usage}\n\n".encode()), LONG_KEY)
    assert LONG_KEY[:12] not in str(caught.value)
    assert caught.value.__context__ is None


async def test_key_that_comes_back_in_an_answer_is_not_kept() -> None:
    answer = await asked(stream(events({"content": f"You are {KEY}, "}, {"content": "are you?"})))
    assert answer.turn.text == "You are [key], are you?"


async def test_word_that_serves_as_a_key_stays_a_word() -> None:
    answer = await asked(stream(events({"content": "Ask me anything"})), "anything")
    assert answer.turn.text == "Ask me anything"


async def test_kind_of_an_answer_is_read_in_any_case() -> None:
    answer = await asked(stream(events({"content": "Hello"}), "Text/Event-Stream; charset=utf-8"))
    assert answer.turn.text == "Hello"
