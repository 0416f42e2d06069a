from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.acceptance.installation import Installation
from tests.chaos.installed import Installed
from tests.chaos.outside import Outside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

LOOPBACK_ALLOWED = {"PERDURE_HTTP_ALLOWED_HOSTS": "127.0.0.1"}


@pytest_asyncio.fixture(scope="session")
async def installed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installed]:
    """Shared by all tests that leave every process of it alive."""
    home = tmp_path_factory.mktemp("chaos") / "home"
    with Installation(home, **LOOPBACK_ALLOWED) as installation:
        installation.start()
        installed = Installed.of(installation)
        yield installed
        await installed.client.close()
        installation.kill()


@pytest_asyncio.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside() as outside:
        yield outside
