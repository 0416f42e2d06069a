from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import Field

from core.errors import NotFound, SecretMissing
from core.model import Frozen
from store.workspaces import owned_by

if TYPE_CHECKING:
    from collections.abc import Iterable

    from store.pool import Pool
    from store.sealing import Keyring

PUT = """
    INSERT INTO secrets (workspace_id, name, value, allowed_hosts) VALUES ($1, $2, $3, $4)
    ON CONFLICT (workspace_id, name) DO UPDATE SET
        value = excluded.value, allowed_hosts = excluded.allowed_hosts, updated_at = now()
"""
LIST = """
    SELECT name, allowed_hosts, updated_at FROM secrets WHERE workspace_id = $1 ORDER BY name
"""
DELETE = "DELETE FROM secrets WHERE workspace_id = $1 AND name = $2 RETURNING name"
OPEN = "SELECT value, allowed_hosts FROM secrets WHERE workspace_id = $1 AND name = $2"


class NamedSecret(Frozen):
    """All that anybody but a tool gets to see."""

    name: str
    allowed_hosts: frozenset[str]
    updated_at: datetime


class OpenSecret(Frozen):
    value: str = Field(repr=False)
    allowed_hosts: frozenset[str]


class Secrets:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def put(
        self, workspace: str, name: str, value: str, allowed_hosts: Iterable[str]
    ) -> None:
        sealed = self._keyring.seal(value.encode(), _place(workspace, name))
        with owned_by(workspace):
            await self._pool.execute(PUT, workspace, name, sealed, sorted(set(allowed_hosts)))

    async def list_names(self, workspace: str) -> list[NamedSecret]:
        return [NamedSecret(**row) for row in await self._pool.fetch(LIST, workspace)]

    async def delete(self, workspace: str, name: str) -> None:
        if await self._pool.fetchval(DELETE, workspace, name) is None:
            raise NotFound(f"there is no secret {name!r}")

    async def open(self, workspace: str, name: str) -> OpenSecret:
        row = await self._pool.fetchrow(OPEN, workspace, name)
        if row is None:
            raise SecretMissing(f"there is no secret {name!r} in this workspace", secret=name)
        value = self._keyring.open(row["value"], _place(workspace, name))
        return OpenSecret(value=value.decode(), allowed_hosts=frozenset(row["allowed_hosts"]))


def _place(workspace: str, name: str) -> str:
    return f"{workspace}/secrets/{name}"
