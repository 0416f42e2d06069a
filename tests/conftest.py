"""Real servers, once per session, for every test that wants them."""

from __future__ import annotations

import asyncio
import os
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import httpcore2
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from temporalio.client import Client
from xdist.scheduler import LoadScopeScheduling

from store.pool import Pool, open_pool
from tests.servers import Servers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OF_THE_MACHINE = ("PG", "TEMPORAL_", "PERDURE_", "DATABASE_URL")
OF_VENDORS = ("_API_KEY", "_BASE_URL")
POSTGRES, TEMPORAL = "PERDURE_TEST_POSTGRES", "PERDURE_TEST_TEMPORAL"
NAMESPACE = "perdure"
INSTALLATIONS = ("tests/acceptance/", "tests/chaos/")

servers = pytest.StashKey[Servers]()

# A machine that does other things meanwhile breaks no property: 200 ms are soon over there.
settings.register_profile(
    "busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy machine")

# Reading the authorities takes longer than most tests that open connections.
httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)


def pytest_configure(config: pytest.Config) -> None:
    # xdist's workers inherit the environment, and the servers in it, from their controller.
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    for name in list(os.environ):
        if name.startswith(OF_THE_MACHINE) or name.endswith(OF_VENDORS):
            del os.environ[name]
    started = Servers()
    asyncio.run(started.start(NAMESPACE))
    config.stash[servers] = started
    os.environ[POSTGRES] = started.postgres("{database}")
    os.environ[TEMPORAL] = started.temporal


def pytest_unconfigure(config: pytest.Config) -> None:
    if servers in config.stash:
        config.stash[servers].stop()


class SharedInstallations(LoadScopeScheduling):
    """What starts whole installations runs in two workers, each of which shares its own."""

    # xdist's own groups rewrite test ids, to which pytest 9.2 no longer listens.

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith("tests/unit/"):
            return nodeid.partition("::")[0]  # what a file makes once, one worker makes once
        folder = next((each for each in INSTALLATIONS if nodeid.startswith(each)), None)
        return folder or nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedInstallations:
    return SharedInstallations(config, log)


@pytest_asyncio.fixture(scope="session")
async def postgres() -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(_dsn("postgres"))
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def database(postgres: asyncpg.Connection) -> AsyncIterator[str]:
    """The DSN of a migrated database of this test's own."""
    name = f"t_{uuid4().hex}"
    await postgres.execute(f"CREATE DATABASE {name} TEMPLATE template_perdure STRATEGY file_copy")
    yield _dsn(name)
    await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with await open_pool(database, max_size=5) as pool:
        yield pool


@pytest.fixture(scope="session")
def temporal_address() -> str:
    return os.environ[TEMPORAL]


@pytest.fixture(scope="session")
def temporal_namespace() -> str:
    return NAMESPACE


@pytest_asyncio.fixture(scope="session")
async def temporal(temporal_address: str, temporal_namespace: str) -> Client:
    """Without our codec: payloads are readable."""
    return await Client.connect(temporal_address, namespace=temporal_namespace)


@pytest.fixture
def task_queue() -> str:
    return f"test-{uuid4().hex}"


def _dsn(name: str) -> str:
    return os.environ[POSTGRES].format(database=name)
