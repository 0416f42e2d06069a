"""Connections to Postgres, whose absence has one name."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import asyncpg

from core.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

CONNECT_WITHIN = timedelta(seconds=5)
ANSWER_WITHIN = timedelta(seconds=10)
CLOSE_WITHIN = timedelta(seconds=5)

# What a restart, a failover, a full server or a lost network looks like from here. asyncpg's
# InternalClientError is what it says when the server dies while a query is under way.
AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


@contextmanager
def named_failures() -> Generator[None]:
    try:
        yield
    except AWAY as error:
        raise Unavailable(f"Postgres does not answer ({type(error).__name__})") from error
    except asyncpg.DataError as error:
        # Its own message quotes the value, which may be nobody's to read.
        raise Invalid("a value cannot be stored: is there a NUL character in it?") from error


class Pool:
    """What the store uses of asyncpg's pool; failures come out named."""

    def __init__(self, connections: asyncpg.Pool, answer_within: timedelta) -> None:
        self._connections = connections
        self._answer_within = answer_within

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self.acquire() as connection:
            return await connection.fetch(query, *arguments)

    async def fetch_filtered(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Where a filter may be NULL, only a plan made for this very call uses the right index."""
        try:
            return await self._fetch_planned(query, *arguments)
        except asyncpg.InvalidCachedStatementError:
            # A migration changed a table; outside of transactions asyncpg asks again by itself.
            return await self._fetch_planned(query, *arguments)

    async def _fetch_planned(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self.transaction() as connection:
            await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            return await connection.fetch(query, *arguments)

    async def fetchrow(self, query: str, *arguments: Any) -> asyncpg.Record | None:
        async with self.acquire() as connection:
            return await connection.fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        async with self.acquire() as connection:
            return await connection.fetchval(query, *arguments)

    async def execute(self, query: str, *arguments: Any) -> str:
        async with self.acquire() as connection:
            return await connection.execute(query, *arguments)

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator[Connection]:
        """Where all connections stay in use, Postgres is as good as away."""
        waiting = self._answer_within.total_seconds()
        with named_failures():
            async with self._connections.acquire(timeout=waiting) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        async with self.acquire() as connection, connection.transaction():
            yield connection

    async def close(self) -> None:
        """Waits a moment for queries under way, then cuts them off."""
        try:
            async with asyncio.timeout(CLOSE_WITHIN.total_seconds()):
                await self._connections.close()
        except TimeoutError:
            self._connections.terminate()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def open_pool(
    dsn: str, *, max_size: int = 10, answer_within: timedelta = ANSWER_WITHIN
) -> Pool:
    """Opens even while Postgres is away; connections are made when they are needed."""
    seconds = answer_within.total_seconds()
    connections = await asyncpg.create_pool(
        dsn,
        # asyncpg logs a traceback a moment for a floor it cannot keep while Postgres is away.
        min_size=0,
        max_size=max_size,
        timeout=CONNECT_WITHIN.total_seconds(),
        # A frozen server keeps no statement_timeout, so the client counts too.
        command_timeout=seconds + 1,
        server_settings={
            "application_name": "perdure",
            "timezone": "UTC",
            # What it compiles here runs for a shorter time than that takes.
            "jit": "off",
            "statement_timeout": f"{seconds * 1000:.0f}",
        },
        init=_prepare,
        reset=_keep,
    )
    return Pool(connections, answer_within)


async def _prepare(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads
    )


async def _keep(_connection: asyncpg.Connection) -> None:
    """Nothing to undo: no session state is ever set, and asyncpg's own reset is a round trip."""
