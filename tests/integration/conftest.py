from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.gateway import Caller, Site, open_site
from tests.integration.ledger import Ledger
from tests.integration.sales import PEOPLE, Sales, open_sales

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from store.pool import Pool


@pytest_asyncio.fixture
async def site(
    temporal_address: str, temporal_namespace: str, pool: Pool, task_queue: str
) -> AsyncIterator[Site]:
    async with open_site(temporal_address, temporal_namespace, pool, task_queue) as site:
        yield site


@pytest_asyncio.fixture
async def owner(site: Site) -> Caller:
    """A key of the site's workspace with every scope."""
    return await site.with_scopes()


@pytest_asyncio.fixture
async def sales(pool: Pool) -> Sales:
    """A company with pipelines and owners, without a deal yet."""
    sales = await open_sales(pool, "acme")
    await sales.tell(*PEOPLE)
    return sales


@pytest_asyncio.fixture
async def ledger(pool: Pool) -> AsyncIterator[Ledger]:
    """Whatever a test does, the counters say what the ledger says."""
    ledger = await Ledger.of(pool)
    yield ledger
    assert await ledger.off() == []
