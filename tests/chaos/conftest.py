from __future__ import annotations

import asyncio
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest_asyncio

from tests.acceptance.installation import Installation
from tests.chaos.installed import Installed
from tests.chaos.outside import Outside
from tests.chaos.vendor import Vendor, open_vendor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

SURROUNDINGS = {"PERDURE_HTTP_ALLOWED_HOSTS": "127.0.0.1", "PERDURE_ARCHIVE_AFTER": "0"}
PLATFORM_KEYS = {
    "ANTHROPIC_API_KEY": f"sk-ant-platform-{token_hex(16)}",
    "OPENAI_API_KEY": f"sk-platform-{token_hex(16)}",
}


@pytest_asyncio.fixture(scope="session")
async def installed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installed]:
    """Shared by all tests that leave every process of it alive."""
    home = tmp_path_factory.mktemp("chaos") / "home"
    with Installation(home, **SURROUNDINGS) as installation:
        installation.start()
        installed = Installed.of(installation)
        yield installed
        await installed.client.close()
        installation.kill()


@pytest_asyncio.fixture(scope="session")
async def vendor() -> AsyncIterator[Vendor]:
    async with open_vendor() as vendor:
        yield vendor


@pytest_asyncio.fixture(scope="session")
async def modelled(
    vendor: Vendor, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installed]:
    """With keys of the platform's, which reach the vendor here."""
    home = tmp_path_factory.mktemp("modelled") / "home"
    environment = {**SURROUNDINGS, **PLATFORM_KEYS, **vendor.environment}
    with Installation(home, **environment) as installation:
        await asyncio.to_thread(installation.start)
        installed = Installed.of(installation)
        yield installed
        await installed.client.close()
        installation.kill()


@pytest_asyncio.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside() as outside:
        yield outside
