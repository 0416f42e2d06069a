"""Syncs of an account of HubSpot that changes meanwhile, while it and the worker fail."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx2

from tests.chaos.test_plaintext import dsn, kept
from tests.chaos.traces import traces
from tests.hubspot.life import Life
from tests.hubspot.server import TOKEN, HubSpotServer, at_random, open_hubspot
from tests.hubspot.truth import SOURCE, behind, differences, held

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tests.chaos.installed import Death, Installed
    from tests.receiver import Received

ROUNDS = int(os.environ.get("CHAOS_SYNCS", "2"))  # each is two syncs
SEED = int(os.environ.get("CHAOS_SEED", "7"))
LAG = timedelta(milliseconds=100)
TROUBLES = 0.03  # of all answers
AT_MOST_SECONDS = 0.05  # from a request to the kill it stands for


@dataclass
class Killer:
    """Ends the worker at the nth request from now, as it waits, reads, or writes what it read."""

    installed: Installed
    random: Random
    left: int = 0
    deaths: list[asyncio.Task[Death]] = field(default_factory=list)

    def arm(self) -> None:
        self.left = self.random.randrange(1, 30)

    def hears(self, _: Received) -> None:
        self.left -= 1
        if self.left == 0:
            self.deaths.append(asyncio.create_task(self._kill()))

    async def _kill(self) -> Death:
        await asyncio.sleep(self.random.random() * AT_MOST_SECONDS)
        return await self.installed.kill("worker")

    async def over(self) -> None:
        self.left = 0
        for death in self.deaths:
            await (await death).over()


@dataclass
class Scene:
    ours: Installed
    server: HubSpotServer
    http: httpx2.AsyncClient
    database: asyncpg.Connection

    @property
    def workspace(self) -> str:
        assert self.ours.client.connection.workspace
        return self.ours.client.connection.workspace

    async def post(self, path: str, body: Any) -> dict[str, Any]:
        place = f"/api/workspaces/{self.workspace}/sources{path}"
        answer = await self.http.post(place, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def connect(self) -> None:
        host = f"127.0.0.1:{self.server.port}"
        await self.ours.client.secrets.put("hubspot_token", TOKEN, allowed_hosts=[host])
        config = {"type": "hubspot", "base_url": self.server.url}
        await self.post("", {"id": SOURCE, "config": config})

    async def sync(self, meanwhile: Callable[[Received], None]) -> None:
        self.server.meanwhile = meanwhile
        begun = await self.post(f"/{SOURCE}/sync", {"announce": False})
        run = await self.ours.client.runs.wait(begun["run_id"])
        self.server.meanwhile = lambda _: None
        assert run.status == "succeeded", run.error
        assert run.output["faults"] == []


@asynccontextmanager
async def open_scene(installed: Installed) -> AsyncGenerator[Scene]:
    found = installed.installation.credentials()
    async with (
        installed.new_workspace() as ours,
        open_hubspot() as server,
        httpx2.AsyncClient(
            base_url=found["url"], headers={"X-API-Key": found["admin_key"]}, trust_env=False
        ) as http,
    ):
        database = await asyncpg.connect(dsn(installed))
        try:
            yield Scene(ours, server, http, database)
        finally:
            await database.close()


async def test_tables_equal_hubspot_after_each_sync(installed: Installed) -> None:
    random = Random(SEED)
    async with open_scene(installed) as scene:
        server, crm = scene.server, scene.server.crm
        life, killer = Life(crm, random), Killer(installed, random)
        life.begin()
        server.api.index_delay = LAG
        server.per_ten_seconds, server.searches_per_second = 5_000, 50
        server.trouble = at_random(server, random, TROUBLES)
        await scene.connect()

        def busy(received: Received) -> None:
            life.happens()
            killer.hears(received)

        for number in range(ROUNDS):
            start = datetime.now(UTC)
            if number % 2 == 0:
                killer.arm()
            await scene.sync(busy)
            late = await behind(scene.database, scene.workspace, crm, start - LAG)
            assert late == [], f"round {number}"

            await asyncio.sleep(LAG.total_seconds())  # until the search has caught up
            if number % 2 == 1:
                killer.arm()
            await scene.sync(killer.hears)
            wrong = differences(crm, await held(scene.database, scene.workspace))
            assert wrong == {}, f"round {number}"

        await killer.over()
        assert killer.deaths
        assert server.troubles
    for place, content in kept(installed).items():
        assert traces(TOKEN, content) == set(), place
