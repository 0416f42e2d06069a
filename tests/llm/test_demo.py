from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from core.llm import AnswersTurn, ModelAnswer, OfferedTool, ToolAnswer, Turn, UserTurn
from llm.demo.server import open_server
from llm.demo.view import Reply, View
from llm.providers import DEMO_KEY, ProviderSettings, open_providers
from tests.llm.asking import LOOKUP, House, answers, tool

if TYPE_CHECKING:
    from collections.abc import Callable

DEMOS = ("demo", "demo-openai")
DEALS = {
    "deals": [
        {"name": "Acme", "days": 40, "value": 1200},
        {"name": "Globex", "days": 21, "value": 90},
    ]
}
REPORT = {
    "type": "object",
    "properties": {
        "deal_count": {"type": "integer"},
        "deals": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["name", "days"],
            },
        },
        "risk": {"type": "string", "enum": ["high", "low"]},
    },
    "required": ["deal_count", "deals", "risk"],
}
WRITE = tool("delete_deal", id={"type": "integer"})
STALE = OfferedTool(
    name="crm_stale_deals",
    description="Deals that nobody touched",
    parameters={"type": "object", "properties": {"days": {"type": "integer", "default": 14}}},
)


async def finished(
    house: House, model: str, carry_out: Callable[[dict[str, Any]], str], *tools: OfferedTool
) -> tuple[ModelAnswer, list[int]]:
    """The whole loop, and how many calls each of its turns made."""
    turns: tuple[Turn, ...] = (UserTurn(text="Report on stale deals, 30 days"),)
    widths: list[int] = []
    while True:
        answer = await house.ask(model, *turns, key=DEMO_KEY, tools=tools)
        if answer.stop != "tools":
            return answer, widths
        uses = answer.turn.tool_uses
        widths.append(len(uses))
        given = tuple(ToolAnswer(id=u.id, content=carry_out(u.arguments or {})) for u in uses)
        turns = (*turns, answer.turn, AnswersTurn(answers=given))


@pytest.mark.parametrize("provider", DEMOS)
async def test_report_is_true_to_what_the_tool_said(house: House, provider: str) -> None:
    answer, widths = await finished(
        house, f"{provider}/demo-model", lambda _: json.dumps(DEALS), WRITE, LOOKUP, STALE
    )
    assert answer.turn.text == "[demo model] crm_stale_deals: deals 2 (Acme, Globex)"
    assert widths == [1]


@pytest.mark.parametrize("provider", DEMOS)
async def test_json_is_filled_in_from_the_data(house: House, provider: str) -> None:
    text = f"How high is the risk?\n{json.dumps(DEALS)}"
    answer = await house.ask(f"{provider}/demo-model", text, output_schema=REPORT)
    assert json.loads(answer.content) == {
        "deal_count": 2,
        "deals": [{"name": "Acme", "days": 40}, {"name": "Globex", "days": 21}],
        "risk": "high",
    }


async def test_demo_model_looks_and_changes_nothing(house: House) -> None:
    answer = await house.ask("demo/demo-model", "Delete the deal", tools=(WRITE, LOOKUP))
    assert [use.name for use in answer.turn.tool_uses] == ["lookup"]
    answer = await house.ask("demo/demo-model", "Delete the deal", tools=(WRITE,))
    assert answer.stop == "end"


@pytest.mark.parametrize("provider", DEMOS)
async def test_same_request_gets_the_same_answer(house: House, provider: str) -> None:
    first = await house.ask(f"{provider}/fake-loop-2x3", "Go", tools=(LOOKUP,))
    again = await house.ask(f"{provider}/fake-loop-2x3", "Go", tools=(LOOKUP,))
    assert first == again


@pytest.mark.parametrize("provider", DEMOS)
async def test_loop_has_its_turns_and_calls_and_answers_from_all_results(
    house: House, provider: str
) -> None:
    model = f"{provider}/fake-loop-6x3"
    answer, widths = await finished(house, model, lambda given: f"{given}", LOOKUP)
    assert widths == [3] * 6
    other, _ = await finished(house, model, lambda given: f"{given}!", LOOKUP)
    assert answer.turn.text.startswith("[demo model] 18 results, ")
    assert answer.turn.text != other.turn.text
    assert len(set(re.findall(r"call_plain0_\w+", json.dumps(house.sent)))) == 18


async def test_parts_of_a_name_work_together(house: House) -> None:
    model = "demo/fake-loop-1x2+flaky-1+slow-50ms"
    with pytest.raises(Exception, match="529"):
        await house.ask(model, "Go", tools=(LOOKUP,))
    answer = await house.ask(model, "Go", tools=(LOOKUP,))
    assert len(answer.turn.tool_uses) == 2
    assert [each.fault for each in house.demo.requests] == ["flaky", None]


async def test_different_requests_meet_their_own_faults(house: House) -> None:
    for text in ("one", "two"):
        with pytest.raises(Exception, match="429"):
            await house.ask("demo/fake-429-1", text)
    for text in ("two", "one"):
        assert (await house.ask("demo/fake-429-1", text)).stop == "end"


@pytest.mark.parametrize("provider", DEMOS)
async def test_longer_texts_cost_more(house: House, provider: str) -> None:
    short = await house.ask(f"{provider}/demo-model", "word")
    long = await house.ask(f"{provider}/demo-model", "word " * 400)
    assert long.usage.input - short.usage.input == pytest.approx(500, abs=20)
    assert not short.usage.estimated


def counting(view: View) -> Reply | None:
    """A handler as skills bring them."""
    if "stale" not in view.system:
        return None
    return Reply(text=f"[demo model] {len(view.results)} results")


async def test_handler_answers_what_it_knows_and_leaves_the_rest() -> None:
    async with (
        open_server(handlers=(counting,)) as demo,
        open_providers(ProviderSettings(demo_url=demo.url)) as providers,
    ):
        house = House(demo, providers)
        known = await house.ask("demo/demo-model", "Go", system="Find stale deals")
        assert known.turn.text == "[demo model] 0 results"
        other = await house.ask("demo/demo-model", "Go")
        assert other.turn.text == "[demo model] Asked in 1 words: Go"


async def test_server_keeps_no_key_and_bodies_only_if_told() -> None:
    secret = "sk-very-secret-0123456789"
    async with open_server() as demo:
        async with open_providers(ProviderSettings(demo_url=demo.url)) as providers:
            await House(demo, providers).ask("demo/demo-model", "private words", key=secret)
        async with httpx2.AsyncClient() as client:
            told = (await client.get(f"{demo.url}/_requests")).text
            await client.delete(f"{demo.url}/_requests")
            assert (await client.get(f"{demo.url}/_requests")).json() == []
    assert json.loads(told)[0]["model"] == "demo-model"
    assert secret not in told
    assert "private words" not in told


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages": 3}', b'{"model": "m"}'])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_nonsense_is_refused_and_the_server_lives_on(path: str, body: bytes) -> None:
    headers = {"authorization": "Bearer demo-key", "anthropic-version": "any"}
    async with open_server() as demo, httpx2.AsyncClient(headers=headers) as client:
        answer = await client.post(f"{demo.url}{path}", content=body)
        assert answer.status_code == 400
        assert "[" in answer.json()["error"]["message"]
        assert (await client.get(f"{demo.url}/v1/models")).status_code == 200
        assert (await client.get(f"{demo.url}/v1/nowhere")).status_code == 404


async def test_demo_model_is_a_process_that_says_where_it_is() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "llm.demo", "--handler", "tests.llm.test_demo:counting"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        said = (await process.stdout.readline()).decode()
        url = said.removeprefix("demo model on ").strip()
        assert url.startswith("http://127.0.0.1:")
        async with open_providers(ProviderSettings(demo_url=url)) as providers:
            found = await providers["demo"].check_key(DEMO_KEY, ["demo/demo-model"])
        assert found.models == {"demo/demo-model": "ok"}
    finally:
        process.terminate()
        assert await process.wait() == 0


async def test_demo_model_does_not_run_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "production")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "llm.demo"), stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"production" in said


async def test_answers_to_calls_are_counted_once_each(house: House) -> None:
    first = await house.ask("demo/fake-loop-1x3", "Go", tools=(LOOKUP,))
    history = ("Go", first.turn, answers(first, "a", "b", "c"))
    last = await house.ask("demo/fake-loop-1x3", *history, tools=(LOOKUP,))
    assert last.turn.text.startswith("[demo model] 3 results, ")
