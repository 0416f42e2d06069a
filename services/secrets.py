from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import NotFound
from services.paging import page_of
from store.secrets import NamedSecret as NamedSecret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from store.page import Page
    from store.secrets import Secrets


class SecretService:
    """Values go in and never come out here: only tools open them."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    async def put(
        self, workspace: str, name: str, value: str, allowed_hosts: Iterable[str]
    ) -> NamedSecret:
        await self._secrets.put(workspace, name, value, allowed_hosts)
        return await self.get(workspace, name)

    async def get(self, workspace: str, name: str) -> NamedSecret:
        for secret in await self._secrets.list_names(workspace):
            if secret.name == name:
                return secret
        raise NotFound(f"there is no secret {name!r}")

    async def list_page(self, workspace: str, limit: int, cursor: str | None) -> Page[NamedSecret]:
        secrets = await self._secrets.list_names(workspace)
        return page_of(secrets, lambda secret: secret.name, limit, cursor)

    async def delete(self, workspace: str, name: str) -> None:
        await self._secrets.delete(workspace, name)
