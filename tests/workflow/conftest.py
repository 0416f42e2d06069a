from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from store.pool import Pool
from tests.kernel import Kernel, open_kernel


@pytest_asyncio.fixture
async def kernel(
    temporal_address: str, temporal_namespace: str, pool: Pool, task_queue: str
) -> AsyncIterator[Kernel]:
    """No worker runs yet: `async with kernel.worker():` starts one."""
    async with open_kernel(temporal_address, temporal_namespace, pool, task_queue) as kernel:
        yield kernel
