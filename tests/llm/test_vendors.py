"""The vendors' own libraries say what the wires are: we send what they send, and read the same."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.llm.asking import KEY, LOOKUP, WAYS, WIRES, House

if TYPE_CHECKING:
    from tests.llm.asking import Way

Read = tuple[str, list[tuple[str, Any]]]
THEIR_OWN = ("x-stainless-", "user-agent")


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("way", WAYS)
async def test_vendors_library_sends_and_reads_the_same(house: House, wire: str, way: Way) -> None:
    answer = await house.ask(
        f"{wire}/fake-loop-2x2", "Grüße\u2028an alle", way=way, tools=(LOOKUP,), system="Be kind"
    )
    ours = house.demo.requests[-1]
    read = await READERS[wire](house.demo.url, ours.body)
    theirs = house.demo.requests[-1]

    assert theirs is not ours
    assert (ours.path, ours.key, ours.body) == (theirs.path, theirs.key, theirs.body)
    assert _said(ours.headers) == _said(theirs.headers)
    uses = [(use.name, use.arguments) for use in answer.turn.tool_uses]
    assert read == (answer.turn.text, uses)
    assert len(uses) == 2


def _said(headers: dict[str, str]) -> dict[str, str]:
    varying = (*THEIR_OWN, "content-length")
    return {name: said for name, said in headers.items() if not name.startswith(varying)}


async def _messages(url: str, body: dict[str, Any]) -> Read:
    sdk: Any = import_module("anthropic")
    async with httpx2.AsyncClient(trust_env=False) as pool:
        client = sdk.AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0, http_client=pool)
        if body.get("stream"):
            asked = {name: said for name, said in body.items() if name != "stream"}
            async with client.messages.stream(**asked) as stream:
                message = await stream.get_final_message()
        else:
            message = await client.messages.create(**body)
    text = "".join(block.text for block in message.content if block.type == "text")
    return text, [(each.name, each.input) for each in message.content if each.type == "tool_use"]


async def _completions(url: str, body: dict[str, Any]) -> Read:
    sdk: Any = import_module("openai")
    async with httpx2.AsyncClient(trust_env=False) as pool:
        client = sdk.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0, http_client=pool)
        answer = await client.chat.completions.create(**body)
        if not body.get("stream"):
            message = answer.choices[0].message
            calls = [(each.function.name, each.function.arguments) for each in message.tool_calls]
            return message.content or "", _parsed(calls)
        text, names, arguments = "", dict[int, str](), dict[int, str]()
        async for chunk in answer:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for call in choice.delta.tool_calls or ():
                    names.setdefault(call.index, call.function.name)
                    told = arguments.get(call.index, "")
                    arguments[call.index] = told + (call.function.arguments or "")
        return text, _parsed([(names[index], arguments[index]) for index in sorted(names)])


def _parsed(calls: list[tuple[str, str]]) -> list[tuple[str, Any]]:
    return [(name, json.loads(arguments)) for name, arguments in calls]


READERS = {"anthropic": _messages, "openai": _completions}
