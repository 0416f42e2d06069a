from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import pytest_asyncio
import uvicorn

from tests.gateway import ECHO, HELD, Caller, Site
from tests.kernel import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

MANY = """\
inputs:
  n: {type: array, items: {type: integer}}
steps:
  - id: items
    for_each: ${inputs.n}
    compute: echo
    with: {value: "${item}"}
"""
Event = tuple[str, dict[str, Any]]


@asynccontextmanager
async def on_a_socket(app: FastAPI) -> AsyncIterator[tuple[uvicorn.Server, str]]:
    """Streams need one: over ASGI alone an answer is read whole."""
    config = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield server, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@pytest_asyncio.fixture
async def remote(site: Site, owner: Caller) -> AsyncIterator[httpx2.AsyncClient]:
    key = {"X-API-Key": owner.http.headers["X-API-Key"]}
    async with (
        on_a_socket(site.app) as (_, url),
        httpx2.AsyncClient(base_url=url, headers=key, timeout=30, trust_env=False) as http,
    ):
        yield http


async def listen(
    http: httpx2.AsyncClient, run_id: str, last: str | None = None, most: int = 1000, **query: str
) -> list[Event]:
    """Events as they come, until the stream ends or enough are there."""
    found: list[Event] = []
    headers = {"Last-Event-ID": last} if last else {}
    params = {"stream": "true", **query}
    path = f"/api/runs/{run_id}/log"
    async with http.stream("GET", path, params=params, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        cursor = ""
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                cursor = line.removeprefix("id: ")
            elif line.startswith("data: "):
                found.append((cursor, json.loads(line.removeprefix("data: "))))
                if len(found) == most:
                    break
    return found


async def paged(owner: Caller, run_id: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        params: dict[str, Any] = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = (await owner.http.get(f"/api/runs/{run_id}/log", params=params)).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def test_a_stream_tells_what_happens_and_ends_with_the_run(
    site: Site, owner: Caller, remote: httpx2.AsyncClient
) -> None:
    await owner.upload("held", HELD)
    await site.work()
    run_id = await owner.started("held")
    listening = asyncio.create_task(listen(remote, run_id))
    await site.kernel.world.arrives("gate")
    site.kernel.world.open.add("gate")
    events = [event for _, event in await asyncio.wait_for(listening, 20)]
    assert events[0]["kind"] == "run.started"
    assert events[-1]["kind"] == "run.succeeded"
    await owner.ended(run_id)
    assert events == await paged(owner, run_id, 1000)
    assert events == await paged(owner, run_id, 2)


async def test_reconnecting_after_each_event_tells_each_once(
    site: Site, owner: Caller, remote: httpx2.AsyncClient
) -> None:
    await owner.upload("held", HELD)
    await site.work()
    run_id = await owner.started("held")
    found: list[Event] = []
    while not found or found[-1][1]["kind"] != "run.succeeded":
        last = found[-1][0] if found else None
        found += await asyncio.wait_for(listen(remote, run_id, last, most=1), 20)
        if found[-1][1]["step"] == "held":
            site.kernel.world.open.add("gate")
    await owner.ended(run_id)
    assert [event for _, event in found] == await paged(owner, run_id, 1000)
    assert await listen(remote, run_id, found[-1][0]) == []
    assert await listen(remote, run_id, cursor=found[0][0]) == found[1:]


async def test_an_archived_log_is_the_same(
    site: Site, owner: Caller, remote: httpx2.AsyncClient
) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    run_id = (await owner.start("talk", {}, Prefer="wait=20")).json()["run_id"]
    before, streamed = await paged(owner, run_id, 1000), await listen(remote, run_id)
    await site.gateway.reconciler.store_logs()
    assert await site.kernel.runs.archived_log(run_id, owner.workspace) == before
    assert await paged(owner, run_id, 2) == before
    assert await listen(remote, run_id) == streamed


@pytest.mark.parametrize("stream", ["true", "false"])
async def test_a_bad_cursor_is_refused(owner: Caller, stream: str) -> None:
    await owner.upload("talk", ECHO)
    run_id = await owner.started("talk")
    answer = await owner.http.get(
        f"/api/runs/{run_id}/log", params={"stream": stream, "cursor": "elsewhere"}
    )
    assert answer.status_code == 422, answer.text
    assert [fault["field"] for fault in answer.json()["errors"]] == ["cursor"]


async def test_silence_is_broken_now_and_then_and_leaving_stops_the_reader(
    site: Site, owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.events.SILENCE", timedelta(seconds=0.05))
    await owner.upload("talk", ECHO)
    run_id = await owner.started("talk")
    key = {"X-API-Key": owner.http.headers["X-API-Key"]}
    async with (
        on_a_socket(site.app) as (server, url),
        httpx2.AsyncClient(base_url=url, headers=key, trust_env=False) as http,
    ):
        params = {"stream": "true"}
        async with http.stream("GET", f"/api/runs/{run_id}/log", params=params) as answer:
            comments = 0
            async for line in answer.aiter_lines():
                comments += line.startswith(":")
                if comments == 4:
                    break
            assert server.server_state.tasks
        await until(lambda: not server.server_state.tasks)


async def test_a_batch_has_a_log_of_its_own(site: Site, owner: Caller) -> None:
    await owner.upload("many", MANY)
    await site.work()
    run_id = await owner.started("many", {"inputs": {"n": list(range(250))}})
    await owner.ended(run_id)
    log = await paged(owner, run_id, 1000)
    batches = [event["step"] for event in log if event["kind"] == "step.started"]
    batch = next(step for step in batches if ".." in step)
    answer = await owner.http.get(f"/api/runs/{run_id}/log", params={"step": batch, "limit": 1000})
    assert len([e for e in answer.json()["items"] if e["kind"] == "step.finished"]) >= 50
    unknown = await owner.http.get(f"/api/runs/{run_id}/log", params={"step": "items[0..1]"})
    assert unknown.status_code == 404
