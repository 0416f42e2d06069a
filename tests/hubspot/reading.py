"""A connector on the strict server, read as a sync reads it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.connector import HubSpotConfig
from core.errors import SourceError
from integrations.hubspot import HubSpot
from outbound import Outbound
from store.secrets import OpenSecret
from tests.hubspot.server import TOKEN, HubSpotServer, open_hubspot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime

    from core.connector import Page
    from core.crm import Kind, Record

HERE = frozenset({"127.0.0.1"})


@dataclass
class Pass:
    """All that one reading of a kind told; of each record the last word counts."""

    told: list[Record] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    failures: list[SourceError] = field(default_factory=list)

    @property
    def records(self) -> dict[str, Any]:
        return {record.id: record for record in self.told}


@dataclass
class Reader:
    server: HubSpotServer
    outbound: Outbound

    def hubspot(self, token: str = TOKEN, hosts: frozenset[str] = HERE, **config: Any) -> HubSpot:
        settled = HubSpotConfig.model_validate({"base_url": self.server.url, **config})
        secret = OpenSecret(value=token, allowed_hosts=hosts)
        return HubSpot(self.outbound, settled, secret)

    async def read(
        self, kind: Kind, since: datetime | None = None, *, attempts: int = 1, **config: Any
    ) -> Pass:
        """Each page by a connector of its own, as after a crash."""
        told, cursor = Pass(), None
        while True:
            page = await self._page(kind, since, cursor, attempts, told, config)
            told.pages.append(page)
            told.told += page.records
            told.faults += page.faults
            told.remarks += page.remarks
            if (cursor := page.next) is None:
                return told

    async def _page(
        self,
        kind: Kind,
        since: datetime | None,
        cursor: str | None,
        attempts: int,
        told: Pass,
        config: dict[str, Any],
    ) -> Page:
        while True:
            try:
                return await self.hubspot(**config).page(kind, since, cursor)
            except SourceError as failure:
                told.failures.append(failure)
                if not failure.retryable or len(told.failures) >= attempts:
                    raise


@asynccontextmanager
async def open_reader() -> AsyncGenerator[Reader]:
    async with open_hubspot() as server, Outbound(HERE) as outbound:
        server.per_ten_seconds = server.searches_per_second = 100_000
        yield Reader(server, outbound)
