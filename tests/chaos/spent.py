"""What an installation's ledger says."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from dev import postgres
from dev.plan import DATABASE
from tests.integration.ledger import MONTHS_OFF, RUNS_OFF, SKILLS_OFF

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.chaos.installed import Installed


@asynccontextmanager
async def database(installed: Installed) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        postgres.dsn(installed.installation.home / "postgres", DATABASE)
    )
    try:
        yield connection
    finally:
        await connection.close()


async def calls(installed: Installed, run_id: str, *states: str) -> list[Any]:
    """The rows of a run's calls, the settled ones if no state is named."""
    asked = "SELECT * FROM llm_calls WHERE run_id = $1 AND state = ANY ($2::text[]) ORDER BY id"
    async with database(installed) as connection:
        return await connection.fetch(asked, run_id, list(states or ("settled",)))


async def off(installed: Installed) -> list[Any]:
    """Where the ledger and its counters differ."""
    async with database(installed) as connection:
        queries = (MONTHS_OFF, RUNS_OFF, SKILLS_OFF)
        return [row for query in queries for row in await connection.fetch(query)]
