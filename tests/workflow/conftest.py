from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from store.pool import Pool
from tests.kernel import Kernel, open_kernel
from workflows import effects


@pytest_asyncio.fixture
async def kernel(
    temporal_address: str, temporal_namespace: str, pool: Pool, task_queue: str
) -> AsyncIterator[Kernel]:
    """No worker runs yet: `async with kernel.worker():` starts one."""
    async with open_kernel(temporal_address, temporal_namespace, pool, task_queue) as kernel:
        yield kernel


@pytest.fixture
def early_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a tenth of the items on; other tests have as many as it usually takes."""
    monkeypatch.setattr(effects, "ITEMS_IN_ONE_HISTORY", 20)


@pytest.fixture
def small_batches(early_batches: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "BATCH_ITEMS", 50)
