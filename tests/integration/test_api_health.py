from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from temporalio.client import Client

from api.app import create_app
from dev import ports
from outbound import Outbound
from services.gateway import assemble
from services.health import HealthService
from services.library import Library
from services.temporal import converter
from store.pool import open_pool
from tests.gateway import ADMIN_KEY, ECHO, Caller, Site
from tests.kernel import KEYS, eventually

if TYPE_CHECKING:
    from store.pool import Pool


async def test_it_is_ready_once_a_worker_is_there(site: Site) -> None:
    http = site.caller(None).http
    assert (await http.get("/healthz")).status_code == 200
    before = await http.get("/readyz")
    assert before.status_code == 503
    assert before.json()["ready"] is False
    assert [before.json()[name]["ok"] for name in ("temporal", "postgres", "worker")] == [
        True,
        True,
        False,
    ]
    await site.work()
    ready = await eventually(lambda: http.get("/readyz"), lambda answer: answer.is_success)
    assert ready.json()["ready"] is True


async def test_workers_and_what_waits_for_them_are_shown(site: Site, owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    run_id = await owner.started("talk")
    waiting = await eventually(
        lambda: owner.http.get("/api/workers"), lambda answer: answer.json()["backlog"] == 1
    )
    assert waiting.json()["anybody"] is False
    await site.work()
    await owner.ended(run_id)
    seen = (await owner.http.get("/api/workers")).json()
    assert seen["anybody"] is True
    assert sorted(seen["workers"][0]["serves"]) == ["activity", "workflow"]


async def test_metrics_name_routes_and_nobody(site: Site, owner: Caller) -> None:
    await owner.http.get(owner.home)
    await owner.http.request("BREW", f"/{owner.workspace}")
    page = (await site.caller(None).http.get("/metrics")).text
    assert 'route="/api/workspaces/{ws}",status="200"' in page
    assert 'method="other",route="unknown",status="404"' in page
    assert owner.workspace not in page


async def test_temporal_away_is_said_soon_and_reading_goes_on(
    pool: Pool, site: Site, owner: Caller
) -> None:
    await owner.upload("talk", ECHO)
    run_id = await owner.started("talk")
    away = await Client.connect(
        f"127.0.0.1:{ports.free()}", data_converter=converter(KEYS), lazy=True
    )
    tools = site.kernel.world.registry().specs()
    gateway = assemble(
        away,
        pool,
        encryption_keys=KEYS,
        library=Library({}),
        tools=tools,
        ways=Outbound(),
        connectors=site.kernel.connectors,
        admin_key=ADMIN_KEY,
    )
    stranded = Caller(create_app(gateway), ADMIN_KEY, owner.workspace)
    began = time.monotonic()
    refused = await asyncio.gather(
        stranded.start("talk"),
        stranded.act(run_id, "pause"),
        stranded.http.get(f"/api/runs/{run_id}/log"),
        stranded.http.get("/api/workers"),
    )
    assert [answer.status_code for answer in refused] == [503] * 4
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    named = await stranded.run(refused[0].json()["run_id"])
    assert (named["skill"], named["status"]) == ("talk", "queued")
    run = await stranded.run(run_id)
    assert run["status"] == "queued"
    assert "Temporal does not answer" in run["problem"]
    assert len((await stranded.http.get(f"{stranded.home}/runs")).json()["items"]) == 2
    once = [(await stranded.start("talk", Idempotency_Key="k")).json() for _ in range(2)]
    assert once[0]["run_id"] == once[1]["run_id"]
    ready = (await stranded.http.get("/readyz")).json()
    assert [ready[name]["ok"] for name in ("temporal", "postgres", "worker")] == [
        False,
        True,
        False,
    ]
    assert time.monotonic() - began < 15
    await stranded.http.aclose()


async def test_postgres_away_is_said_soon(site: Site) -> None:
    nowhere = f"postgresql://postgres@127.0.0.1:{ports.free()}/perdure"
    async with await open_pool(nowhere) as pool:
        gateway = assemble(
            site.kernel.client,
            pool,
            encryption_keys=KEYS,
            library=Library({}),
            tools=(),
            ways=Outbound(),
            connectors=site.kernel.connectors,
            admin_key=ADMIN_KEY,
            task_queue=site.kernel.task_queue,
        )
        stranded = Caller(create_app(gateway), ADMIN_KEY, "w")
        refused = await stranded.http.get(f"{stranded.home}/runs")
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        ready = (await stranded.http.get("/readyz")).json()
        assert (ready["postgres"]["ok"], ready["temporal"]["ok"]) == (False, True)
        assert (await stranded.http.get("/healthz")).status_code == 200
        await stranded.http.aclose()


class Frozen:
    """A server that hears nothing, not even that nobody waits any more."""

    def __init__(self) -> None:
        self.thawed = asyncio.Event()

    async def list_page(self, _: int) -> None:
        while not self.thawed.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.thawed.wait()


async def test_a_frozen_postgres_is_not_waited_for(site: Site) -> None:
    frozen: Any = Frozen()
    health = HealthService(site.kernel.client, frozen, site.kernel.task_queue)
    asking = asyncio.ensure_future(health.readiness())
    done, _ = await asyncio.wait({asking}, timeout=20)
    frozen.thawed.set()
    assert done, "it waits until the server has heard"
    assert not (await asking).postgres.ok
