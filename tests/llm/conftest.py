from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from llm.demo.server import open_server
from llm.providers import ProviderSettings, open_providers
from llm.providers.adapter import Patience
from tests.llm.asking import ADDRESSES, House

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# A stall is noticed after `silence`; everything else is here at once.
PATIENCE = Patience(connect=2.0, silence=0.4)


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    async with open_server(record="bodies") as demo:
        settings = ProviderSettings(
            base_urls={name: f"{demo.url}{path}" for name, path in ADDRESSES.items()},
            demo_url=demo.url,
            patience=PATIENCE,
        )
        async with open_providers(settings) as providers:
            yield House(demo, providers)
