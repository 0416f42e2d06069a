from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.model import Page
from perdure.workspace import Key, NewKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.connection import Connection
    from perdure.wire import Wire


class Keys:
    def __init__(self, wire: Wire, connection: Connection) -> None:
        self._wire = wire
        self._connection = connection

    async def list_page(self, *, limit: int | None = None, cursor: str | None = None) -> Page[Key]:
        page = {"limit": limit, "cursor": cursor}
        return Page[Key].read(await self._wire.get(self._connection.below("keys"), page))

    async def create(self, name: str, scopes: Sequence[str]) -> NewKey:
        body = {"name": name, "scopes": [str(scope) for scope in scopes]}
        answer = await self._wire.send("POST", self._connection.below("keys"), json=body)
        return NewKey.read(answer)

    async def revoke(self, key_id: str) -> None:
        await self._wire.send("DELETE", self._connection.below("keys", key_id))
