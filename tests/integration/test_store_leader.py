from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from store.leader import Leadership, leadership
from store.pool import Pool, open_pool
from tests.integration.line import Line

BACKENDS_THAT_LEAD = """
    SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE locktype = 'advisory' AND datname = current_database()
"""


@pytest.fixture
async def other_pool(database: str) -> AsyncIterator[Pool]:
    """That of another process."""
    async with await open_pool(database, max_size=2) as pool:
        yield pool


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await holds():
            await asyncio.sleep(0.01)


async def test_one_leads_and_the_next_follows_when_it_leaves(pool: Pool, other_pool: Pool) -> None:
    async with leadership(other_pool, "reconciler") as second:
        async with leadership(pool, "reconciler") as first:
            assert await first.held()
            assert not await second.held()
            assert await first.held()
        await eventually(second.held)


async def test_of_many_at_once_one_leads(pool: Pool, other_pool: Pool) -> None:
    leaders = [Leadership(each, "reconciler") for each in (pool, other_pool) for _ in range(5)]
    assert sum(await asyncio.gather(*(leader.held() for leader in leaders))) == 1
    for leader in leaders:
        await leader.resign()


async def test_each_name_has_a_leader_of_its_own(pool: Pool, other_pool: Pool) -> None:
    async with leadership(pool, "reconciler") as one, leadership(other_pool, "archiver") as other:
        assert await one.held()
        assert await other.held()


async def test_a_leader_whose_connection_is_lost_knows_and_leads_again(
    pool: Pool, other_pool: Pool
) -> None:
    async with leadership(pool, "reconciler") as leader:
        assert await leader.held()
        await other_pool.execute(f"SELECT pg_terminate_backend(pid) FROM ({BACKENDS_THAT_LEAD})")
        assert not await leader.held()
        await eventually(leader.held)


async def test_another_takes_over_from_one_whose_connection_is_lost(
    pool: Pool, other_pool: Pool
) -> None:
    async with leadership(pool, "reconciler") as first, leadership(other_pool, "reconciler") as one:
        assert await first.held()
        await other_pool.execute(f"SELECT pg_terminate_backend(pid) FROM ({BACKENDS_THAT_LEAD})")
        await eventually(one.held)
        assert not await first.held()


async def test_nobody_leads_while_postgres_is_away(database: str) -> None:
    nowhere = database.replace("port=5432", "port=5431")
    async with await open_pool(nowhere) as pool, leadership(pool, "reconciler") as leader:
        assert not await leader.held()


async def test_a_lead_taken_unheard_is_given_up(pool: Pool, database: str) -> None:
    line = Line(database)
    await line.open()
    async with await open_pool(line.dsn) as remote:
        hopeful = Leadership(remote, "reconciler")
        async with leadership(pool, "reconciler") as first:
            assert await first.held()
            assert not await hopeful.held()
        await eventually(lambda: pool.fetchval(f"SELECT count(*) = 0 FROM ({BACKENDS_THAT_LEAD})"))
        # The statement is prepared by now, so one message takes the lead.
        line.freeze()
        unheard = asyncio.create_task(hopeful.held())
        await eventually(lambda: pool.fetchval(f"SELECT count(*) = 1 FROM ({BACKENDS_THAT_LEAD})"))
        unheard.cancel()
        line.thaw()
        with pytest.raises(asyncio.CancelledError):
            await unheard
        async with leadership(pool, "reconciler") as leader:
            await eventually(leader.held)
    await line.cut()


async def test_those_who_do_not_lead_hold_no_connection(pool: Pool, database: str) -> None:
    async with (
        await open_pool(database, max_size=1) as narrow,
        leadership(pool, "reconciler") as first,
        leadership(narrow, "reconciler") as second,
    ):
        assert await first.held()
        assert not await second.held()
        assert await narrow.fetchval("SELECT 1") == 1
