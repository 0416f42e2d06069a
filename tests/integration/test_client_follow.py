"""A log is followed to its end, whatever happens to the connection."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure import Client, Refused, Unreachable
from perdure.errors import NotUnderstood
from perdure.runs import FIRST_PAUSE
from tests.integration.stand_in import KEY, WORKSPACE, StandIn, event, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

LOG = "GET /api/runs/orders-1/log"


@pytest.fixture
def gateway() -> Generator[StandIn]:
    with serving() as stand_in:
        stand_in.run("orders-1")
        yield stand_in


@pytest.fixture
async def client(gateway: StandIn) -> AsyncGenerator[Client]:
    async with Client(gateway.url, KEY, WORKSPACE) as client:
        yield client


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.runs.FIRST_PAUSE", FIRST_PAUSE / 100)
    monkeypatch.setattr("perdure.runs.LONGEST_PAUSE", FIRST_PAUSE / 10)


async def ids(client: Client, run_id: str = "orders-1") -> list[str | None]:
    return [each.id async for each in client.runs.follow(run_id)]


def test_ten_lost_connections_lose_and_repeat_nothing() -> None:
    """The stand-in and the loop live in this test, since the examples are many."""
    with serving() as gateway:
        gateway.run("orders-1")
        gateway.logs["orders-1"] = [
            *(event(number, "step.finished", f"s{number}") for number in range(30)),
            event(30, "run.succeeded"),
        ]
        expected = [each["id"] for each in gateway.logs["orders-1"]]

        async def follow() -> list[str | None]:
            async with Client(gateway.url, KEY, WORKSPACE) as client:
                return await ids(client)

        @settings(max_examples=20, deadline=None)
        @given(st.lists(st.integers(0, 5), max_size=10))
        def holds(breaks: list[int]) -> None:
            gateway.breaks = list(breaks)
            assert asyncio.run(follow()) == expected

        holds()


async def test_a_lost_connection_is_taken_up_where_it_was_lost(
    gateway: StandIn, client: Client
) -> None:
    gateway.breaks = [2, 1]
    assert await ids(client) == ["1.0.0", "1.1.0", "1.2.0", "1.3.0"]
    cursors = [asked.headers.get("last-event-id") for asked in gateway.asked_for(LOG)]
    assert cursors == [None, "1", "2"]


async def test_an_event_that_is_told_again_is_yielded_once(
    gateway: StandIn, client: Client
) -> None:
    log = gateway.logs["orders-1"]
    log.insert(2, log[1])
    assert await ids(client) == ["1.0.0", "1.1.0", "1.2.0", "1.3.0"]


async def test_news_without_an_id_is_told_each_time(gateway: StandIn, client: Client) -> None:
    news = event(0, "step.progress", "fetch", done=1) | {"id": None}
    gateway.logs["orders-1"][2:2] = [news, news]
    assert await ids(client) == ["1.0.0", "1.1.0", None, None, "1.2.0", "1.3.0"]


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_gateway_that_is_not_ready_is_waited_for(
    gateway: StandIn, client: Client, status: int
) -> None:
    gateway.answer(LOG, status, {"title": "Unavailable", "detail": "Temporal is away"})
    assert len(await ids(client)) == 4


async def test_patience_ends(gateway: StandIn, client: Client) -> None:
    for _ in range(100):
        gateway.answer(LOG, 503, {"title": "Unavailable", "detail": "Temporal is away"})
    with pytest.raises(Refused, match="Temporal is away"):
        async for _ in client.runs.follow("orders-1", patience=timedelta(milliseconds=50)):
            pass
    assert len(gateway.asked_for(LOG)) > 1


async def test_a_gateway_that_never_comes_back_is_given_up() -> None:
    async with Client("http://127.0.0.1:9", KEY, WORKSPACE) as client:
        with pytest.raises(Unreachable, match="no gateway"):
            async for _ in client.runs.follow("orders-1", patience=timedelta(milliseconds=20)):
                pass


async def test_somebody_elses_run_is_not_asked_for_again(gateway: StandIn, client: Client) -> None:
    with pytest.raises(Refused, match="there is no run"):
        await ids(client, "orders-2")
    assert len(gateway.asked) == 1


async def test_a_run_ended_by_force_without_a_last_word_ends_the_log(
    gateway: StandIn, client: Client
) -> None:
    gateway.logs["orders-1"].pop()
    gateway.runs["orders-1"]["status"] = "failed"
    assert await ids(client) == ["1.0.0", "1.1.0", "1.2.0"]


async def test_a_log_that_is_closed_early_is_opened_again(gateway: StandIn, client: Client) -> None:
    ending = gateway.logs["orders-1"].pop()
    gateway.runs["orders-1"]["status"] = "running"
    found: list[str] = []
    async for each in client.runs.follow("orders-1"):
        found.append(each.kind)
        if each.step == "fetch" and each.kind == "step.finished":
            gateway.logs["orders-1"].append(ending)
    assert found[-1] == "run.succeeded"


async def test_the_log_of_a_batch_ends_with_the_batch(gateway: StandIn, client: Client) -> None:
    batch = "deals[0..199]"
    gateway.holds.add("orders-1")
    gateway.logs["orders-1"] = [
        event(0, "step.started", batch),
        event(1, "step.finished", "deals[0]"),
        event(2, "step.finished", batch),
    ]
    found = [each.step async for each in client.runs.follow("orders-1", step=batch)]
    assert found == [batch, "deals[0]", batch]
    assert gateway.asked[0].query == {"stream": "true", "step": batch}


async def test_an_event_with_a_large_output_arrives(gateway: StandIn, client: Client) -> None:
    gateway.logs["orders-1"][2]["data"] = {"output": "x" * 2_000_000}
    lengths = [len(each.data.get("output", "")) async for each in client.runs.follow("orders-1")]
    assert max(lengths) == 2_000_000


async def test_a_row_that_is_behind_its_log_is_waited_for(gateway: StandIn, client: Client) -> None:
    ended = gateway.runs["orders-1"]
    gateway.answer("GET /api/runs/orders-1", 200, ended | {"status": "running", "output": None})
    assert (await client.runs.wait("orders-1")).output == {"total": 3}


@pytest.mark.parametrize("wrong", [{"nothing": 1}, {"kind": 5}])
async def test_an_event_that_is_not_understood_ends_the_matter(
    gateway: StandIn, client: Client, wrong: dict[str, object]
) -> None:
    gateway.logs["orders-1"][1] = wrong
    with pytest.raises(NotUnderstood, match="kind"):
        await ids(client)


async def test_a_page_in_place_of_a_log_ends_the_matter(gateway: StandIn, client: Client) -> None:
    gateway.answer(LOG, 200, {"items": []})
    with pytest.raises(NotUnderstood, match="no Perdure gateway"):
        await ids(client)
