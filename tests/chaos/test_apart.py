"""Postgres that is gone for a while, and a worker that comes late."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import pytest_asyncio

from perdure.errors import Refused
from tests.acceptance.installation import Installation
from tests.chaos import flows
from tests.chaos.installed import Installed, kinds
from tests.chaos.own_servers import OwnPostgres, OwnWorker
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from tests.chaos.outside import Outside

# Longer than all attempts of a step that writes, were it to spend them; 20 s are the promise.
AWAY = float(os.environ.get("CHAOS_AWAY", "6"))


@pytest_asyncio.fixture(scope="module")
async def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnPostgres]:
    own = OwnPostgres(tmp_path_factory.mktemp("own") / "postgres")
    await own.start()
    yield own
    own.kill()


@pytest_asyncio.fixture(scope="module")
async def workerless(
    tmp_path_factory: pytest.TempPathFactory, own_postgres: OwnPostgres
) -> AsyncIterator[Installed]:
    home = tmp_path_factory.mktemp("apart") / "home"
    environment = {"PERDURE_HTTP_ALLOWED_HOSTS": "127.0.0.1", "DATABASE_URL": own_postgres.dsn}
    with Installation(home, **environment) as installation:
        installation.start("--no-worker")
        installed = Installed.of(installation)
        yield installed
        await installed.client.close()
        installation.kill()


async def test_run_without_a_worker_is_queued_until_one_comes(workerless: Installed) -> None:
    runs = workerless.client.runs
    run_id = await workerless.start("hello", names=["there"])
    assert (await runs.get(run_id)).status == "queued"
    listed = await runs.list_page(status="queued")
    assert [run.run_id for run in listed.items] == [run_id]
    with OwnWorker(workerless.installation):
        run = await runs.wait(run_id)
    assert (run.status, run.output) == ("succeeded", "Hello, there!")
    assert (await runs.list_page(status="queued")).items == ()


async def test_run_waits_for_postgres_and_finishes(
    workerless: Installed, own_postgres: OwnPostgres, outside: Outside
) -> None:
    """One step needs a secret, which is in Postgres; the end of the other run falls into it."""
    client = workerless.client
    await client.secrets.put("token", "a-secret-value", allowed_hosts=[outside.host])
    needing = await workerless.push(flows.WITH_SECRET, allowed_tools="http_request")
    other = await workerless.push(flows.ONE_BY_ONE)
    with OwnWorker(workerless.installation):
        outside.hold()
        waits = await workerless.start(needing, base=f"{outside.base}/waits")
        ends = await workerless.start(other, base=f"{outside.base}/ends", count=3)
        await outside.reached(2)
        own_postgres.kill()
        gone = time.monotonic()
        outside.release()
        await until(lambda: outside.answered["/ends/items/2"])
        refusals = await refused_until(workerless, gone + AWAY)
        assert not outside.counts["/waits/secret"]
        await own_postgres.start()
        finished = [await client.runs.wait(run_id) for run_id in (waits, ends)]

    assert [run.status for run in finished] == ["succeeded", "succeeded"]
    assert finished[0].output == "/waits/done"
    assert len(finished[1].output) == 3
    assert set(outside.counts.values()) == {1}
    assert refusals == {503}
    for run in finished:
        assert kinds(await workerless.log(run.run_id))["run.succeeded"] == 1
        listed = await client.runs.list_page(q=run.run_id)
        assert [line.status for line in listed.items] == ["succeeded"]


async def refused_until(installed: Installed, moment: float) -> set[int]:
    """What the gateway says to who asks meanwhile; it stays alive."""
    said: set[int] = set()
    while time.monotonic() < moment:
        try:
            await installed.client.runs.list_page()
        except Refused as away:
            said.add(away.status)
        assert installed.installation.get("/healthz").status_code == 200
        await asyncio.sleep(0.5)
    return said
