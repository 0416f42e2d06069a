"""What a stream brought before it broke counts: all that the model wrote, not its text alone."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from core.errors import ConnectionFailed, ModelError
from core.llm import ModelAnswer, ModelQuestion, UserTurn
from llm.models import load
from llm.providers.adapter import Adapter, Patience, Wire
from llm.providers.anthropic import MessagesWire
from llm.providers.openai_compatible import CompletionsWire
from tests.llm.asking import KEY, LOOKUP, WIRES, House

SPOKEN: list[Wire] = [MessagesWire(), CompletionsWire()]
THOUGHT = "Let me see"
START = {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}}
DELTA = {"type": "thinking_delta", "thinking": THOUGHT}
THINKING: list[list[object]] = [
    [START, {"type": "content_block_delta", "index": 0, "delta": DELTA}],
    [{"choices": [{"delta": {"role": "assistant", "reasoning_content": THOUGHT}}]}],
]


WHOLE = [
    'data: {"type": "message_start", "message": {"id": "m"}}\n\n'
    'data: {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}\n\n'
    'event: message_stop\ndata: {"type": "message_stop"}\n\n',
    'data: {"choices": [{"delta": {"content": ""}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n',
]
Answer = Callable[[httpx2.Request], httpx2.Response]


class Breaking(httpx2.AsyncByteStream):
    def __init__(self, sent: str) -> None:
        self._sent = sent

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._sent.encode()
        raise httpx2.RemoteProtocolError("it closed the connection in the midst")


class KeptOpen(Breaking):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._sent.encode()
        await asyncio.Event().wait()


async def answered(wire: Wire, answer: Answer, heard: list[str] | None = None) -> ModelAnswer:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as pool:
        adapter = Adapter("openai", wire, "http://127.0.0.1:9", pool, load(), Patience())
        question = ModelQuestion(model="openai/m", turns=(UserTurn(text="Hello"),))
        return await adapter.ask(question, KEY, [].append if heard is None else heard.append)


async def failed(wire: Wire, answer: Answer, heard: list[str] | None = None) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await answered(wire, answer, heard)
    return caught.value


def breaking(sent: str) -> Answer:
    headers = {"content-type": "text/event-stream"}
    return lambda _: httpx2.Response(200, headers=headers, stream=Breaking(sent))


def kept_open(sent: str) -> Answer:
    headers = {"content-type": "text/event-stream"}
    return lambda _: httpx2.Response(200, headers=headers, stream=KeptOpen(sent))


async def heard_until_it_broke(wire: Wire, *events: object) -> str:
    heard: list[str] = []
    sent = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    error = await failed(wire, breaking(sent), heard)
    assert error.data["in_stream"] is True
    return "".join(heard)


@pytest.mark.parametrize("wire", WIRES)
async def test_arguments_of_calls_are_heard(house: House, wire: str) -> None:
    answer = await house.ask(f"{wire}/fake-loop-2x2", way="streamed", tools=(LOOKUP,))
    arguments = [json.dumps(use.arguments) for use in answer.turn.tool_uses]
    assert len(arguments) == 2
    assert "".join(house.heard) == "".join(arguments)


@pytest.mark.parametrize(("wire", "events"), [*zip(SPOKEN, THINKING, strict=True)])
async def test_thoughts_are_heard(wire: Wire, events: list[object]) -> None:
    assert await heard_until_it_broke(wire, *events) == THOUGHT
    assert await heard_until_it_broke(wire) == ""


@pytest.mark.parametrize(("wire", "sent"), [*zip(SPOKEN, WHOLE, strict=True)])
async def test_a_stream_that_told_its_end_is_an_answer_however_the_connection_ends(
    wire: Wire, sent: str
) -> None:
    assert (await answered(wire, breaking(sent))).stop == "end"


async def test_completions_that_told_why_they_stopped_need_no_other_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llm.providers.answering.USAGE_WITHIN_SECONDS", 0.05)
    sent = WHOLE[1].removesuffix("data: [DONE]\n\n")
    assert (await answered(CompletionsWire(), breaking(sent))).stop == "end"
    assert (await answered(CompletionsWire(), kept_open(sent))).stop == "end"


async def test_a_stream_is_utf_8_whatever_it_says_and_begins_with() -> None:
    said = 'data: {"choices": [{"delta": {"content": "Grüße"}, "finish_reason": "stop"}]}\n\n'
    headers = {"content-type": "text/event-stream; charset=iso-8859-1"}
    content = f"\ufeff{said}".encode()
    answer = await answered(
        CompletionsWire(), lambda _: httpx2.Response(200, headers=headers, content=content)
    )
    assert answer.turn.text == "Grüße"


async def test_what_comes_after_the_reason_to_stop_is_not_cut_off_while_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some servers tell the reason with every piece."""
    monkeypatch.setattr("llm.providers.answering.USAGE_WITHIN_SECONDS", 0.2)
    said = 'data: {"choices": [{"delta": {"content": "on "}, "finish_reason": "stop"}]}\n\n'

    class Slow(KeptOpen):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(6):
                yield said.encode()
                await asyncio.sleep(0.05)
            await asyncio.Event().wait()

    headers = {"content-type": "text/event-stream"}
    answer = await answered(
        CompletionsWire(), lambda _: httpx2.Response(200, headers=headers, stream=Slow(""))
    )
    assert answer.turn.text == "on " * 6


@pytest.mark.parametrize("wire", SPOKEN)
async def test_tls_that_breaks_in_the_midst_is_a_connection_that_failed(wire: Wire) -> None:
    """The library lets through what Python says of it."""

    def breaks(_: httpx2.Request) -> httpx2.Response:
        raise ssl.SSLError(f"bad record: {KEY}")

    error = await failed(wire, breaks)
    assert type(error) is ConnectionFailed
    assert KEY not in str(error)
    assert error.__context__ is None
