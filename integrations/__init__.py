"""Sources of business data: one connector for each vendor, opened by what its config says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from core.connector import Connector, FilesConfig, HubSpotConfig, PostgresConfig, SourceConfig

if TYPE_CHECKING:
    from core.run import Workspace
    from integrations.files import Files
    from outbound import Guard, Outbound


class Secret(Protocol):
    @property
    def value(self) -> str: ...
    @property
    def allowed_hosts(self) -> Collection[str]: ...


class Secrets(Protocol):
    async def open(self, workspace: str, name: str) -> Secret:
        """Raises SecretMissing."""
        ...


class Connectors:
    """Opens sources; vendors' libraries are loaded where one is first needed."""

    def __init__(self, secrets: Secrets, files: Files, outbound: Outbound, guard: Guard) -> None:
        self._secrets = secrets
        self._files = files
        self._outbound = outbound
        self._guard = guard

    @asynccontextmanager
    async def open(
        self, workspace: Workspace, source: str, config: SourceConfig
    ) -> AsyncGenerator[Connector]:
        match config:
            case FilesConfig():
                from integrations.files import FileSource

                current = await self._files.list_current(workspace.id, source)
                yield FileSource(self._files, workspace, source, config, current)
            case PostgresConfig():
                from integrations.postgres import open_postgres
                from integrations.postgres_address import Address

                secret = await self._secrets.open(workspace.id, config.dsn)
                address = Address.parse(secret.value, config.dsn)
                address.require_meant_for(secret.allowed_hosts, config.dsn)
                async with open_postgres(config, address, self._guard) as reading:
                    yield reading
            case HubSpotConfig():
                from integrations.hubspot import HubSpot

                token = await self._secrets.open(workspace.id, config.secret)
                yield HubSpot(self._outbound, config, token)


__all__ = ["Connectors"]
