from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from temporalio import workflow
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from dev import temporal as server
from dev.errors import CannotStart
from services.namespace import SEARCH_ATTRIBUTES, ensure_namespace

if TYPE_CHECKING:
    from pathlib import Path


THIRTY_DAYS = 30 * 24 * 3600


@workflow.defn
class Nothing:
    @workflow.run
    async def run(self) -> None:
        return


async def our_attributes(client: Client) -> set[str]:
    found = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return {name for name in found.custom_attributes if name.startswith("Perdure")}


async def retention(client: Client) -> int:
    request = DescribeNamespaceRequest(namespace=client.namespace)
    found = await client.workflow_service.describe_namespace(request)
    return found.config.workflow_execution_retention_ttl.seconds


async def test_a_namespace_is_made_as_we_need_it(temporal: Client) -> None:
    assert await retention(temporal) == THIRTY_DAYS
    assert await our_attributes(temporal) == set(SEARCH_ATTRIBUTES)


async def test_a_namespace_that_exists_is_made_right(temporal_address: str) -> None:
    client = await server.connect(temporal_address, "default")
    await ensure_namespace(client)
    await ensure_namespace(client)
    assert await retention(client) == THIRTY_DAYS
    assert await our_attributes(client) == set(SEARCH_ATTRIBUTES)


async def test_a_worker_is_seen_once_it_asks_for_work(temporal: Client, task_queue: str) -> None:
    identity = f"{os.getpid()}@"
    seen = asyncio.ensure_future(server.polled(temporal, task_queue, identity))
    async with Worker(
        temporal,
        task_queue=task_queue,
        workflows=[Nothing],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        await asyncio.wait_for(seen, 20)


def test_space_of_removed_runs_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "temporal.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE runs (history BLOB)")
        connection.execute("INSERT INTO runs VALUES (zeroblob(3000000)), (zeroblob(10))")
        connection.execute("DELETE FROM runs WHERE length(history) > 10")
        connection.commit()
    full = database.stat().st_size
    server.compact(database)
    assert database.stat().st_size == full, "too little to be worth it"
    monkeypatch.setattr(server, "WORTH_A_VACUUM", 1 << 20)
    server.compact(database)
    assert database.stat().st_size < 100_000
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    server.compact(tmp_path / "temporal.db")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_is_refused_in_one_line(tmp_path: Path) -> None:
    database = tmp_path / "temporal.db"
    database.write_bytes(b"not a database at all" * 100)
    with pytest.raises(CannotStart, match=r"temporal\.db cannot be read"):
        server.compact(database)
