from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.gateway import Caller, Site, open_site

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
