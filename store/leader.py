"""One process of many does what needs doing once: who holds a lock of Postgres leads."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from core.errors import Unavailable
from store.pool import named_failures

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from store.pool import Connection, Pool

TAKE = "SELECT pg_try_advisory_lock(hashtextextended('perdure.leader.' || $1, 0))"
STILL_THERE = "SELECT 1"


class Leadership:
    """Ask `held` before each round of work; it never raises for Postgres being away."""

    def __init__(self, pool: Pool, name: str) -> None:
        self._pool = pool
        self._name = name
        self._connection: Connection | None = None
        self._lease = AsyncExitStack()

    async def held(self) -> bool:
        """Takes the lead where nobody has it; false where another has, or nobody can know."""
        with suppress(Unavailable):
            return await self._take() if self._connection is None else await self._check()
        return False

    async def resign(self) -> None:
        connection, self._connection = self._connection, None
        with suppress(Unavailable), named_failures():
            if connection is not None:
                # The lock ends with its session; given back to the pool it would live on there.
                connection.terminate()
        with suppress(Unavailable):
            await self._lease.aclose()

    async def _take(self) -> bool:
        async with AsyncExitStack() as lease:
            connection = await lease.enter_async_context(self._pool.acquire())
            try:
                taken = await connection.fetchval(TAKE, self._name)
            except BaseException:
                connection.terminate()
                raise
            if taken:
                self._connection, self._lease = connection, lease.pop_all()
        return taken

    async def _check(self) -> bool:
        if self._connection is None:
            return False
        try:
            with named_failures():
                await self._connection.execute(STILL_THERE)
        except Unavailable:
            await self.resign()
            return False
        return True


@asynccontextmanager
async def leadership(pool: Pool, name: str) -> AsyncGenerator[Leadership]:
    leader = Leadership(pool, name)
    try:
        yield leader
    finally:
        await leader.resign()
