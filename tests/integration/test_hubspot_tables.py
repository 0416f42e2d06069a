"""Syncs one after the other, in a world that does not stand still: the tables follow it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from core.errors import SourceBusy, SourceUnavailable, SourceUnreadable
from store.sources import OVERLAP
from tests.hubspot.life import Life
from tests.hubspot.reading import Reader, open_reader
from tests.hubspot.server import at_random
from tests.hubspot.truth import SOURCE, behind, differences, held, true
from tests.integration.told import ToldRecords

if TYPE_CHECKING:
    from core.crm import Kind
    from store.pool import Pool

SYNCS = 5
LAG = timedelta(milliseconds=40)
WORKSPACE = "w-test"


async def sync(
    reader: Reader, records: ToldRecords, since: datetime | None, name: str, random: Random
) -> None:
    """As a worker does it that loses what it has read, or writes it twice, now and then."""
    for kind in reader.hubspot().kinds:
        cursor: str | None = None
        while True:
            try:
                page = await reader.hubspot().page(kind, since, cursor)
            except (SourceBusy, SourceUnavailable, SourceUnreadable):
                continue
            if random.random() < 0.1:
                continue
            for _ in range(1 + (random.random() < 0.1)):
                await records.write(WORKSPACE, SOURCE, page.records, sync=name)
            assert page.faults == page.remarks == ()
            if (cursor := page.next) is None:
                break
        await _forget_what_is_gone(reader, records, kind, since, name)


async def _forget_what_is_gone(
    reader: Reader, records: ToldRecords, kind: Kind, since: datetime | None, name: str
) -> None:
    if reader.hubspot().lists_all(kind, since):
        await records.delete_unseen(WORKSPACE, SOURCE, kind, sync=name)


@pytest.mark.parametrize("seed", [1, 2])
async def test_tables_equal_the_account_after_each_sync(pool: Pool, seed: int) -> None:
    random, records = Random(seed), ToldRecords(pool)
    since: datetime | None = None
    async with open_reader() as reader:
        server = reader.server
        life = Life(server.crm, random)
        life.begin()
        server.api.index_delay = LAG
        server.trouble = at_random(server, random, 0.03)
        for number in range(SYNCS):
            start = datetime.now(UTC)
            server.meanwhile = lambda _: life.happens()
            await sync(reader, records, since, f"{number} busy", random)
            assert await behind(pool, WORKSPACE, server.crm, start - LAG) == []

            server.meanwhile = lambda _: None
            await asyncio.sleep(LAG.total_seconds())
            since = start - OVERLAP
            await sync(reader, records, since, f"{number} quiet", random)
            assert differences(server.crm, await held(pool, WORKSPACE)) == {}
        counts = {name: len(rows) for name, rows in true(server.crm).items()}
        assert min(counts.values()) > 1, counts
        assert len(server.troubles) > 4


async def test_two_readings_at_once_do_no_harm(pool: Pool) -> None:
    """A worker that was given up may still be writing what it had read."""
    random, records = Random(3), ToldRecords(pool)
    async with open_reader() as reader:
        life = Life(reader.server.crm, random)
        life.begin()
        reader.server.meanwhile = lambda _: life.happens()
        start = datetime.now(UTC) - OVERLAP
        await sync(reader, records, None, "first", random)
        await asyncio.gather(
            *(sync(reader, records, start, name, random) for name in ("second", "third"))
        )
        reader.server.meanwhile = lambda _: None
        await sync(reader, records, start, "fourth", random)
        assert differences(reader.server.crm, await held(pool, WORKSPACE)) == {}
