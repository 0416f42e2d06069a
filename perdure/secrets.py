from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.model import Page
from perdure.workspace import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.connection import Connection
    from perdure.wire import Wire


class Secrets:
    def __init__(self, wire: Wire, connection: Connection) -> None:
        self._wire = wire
        self._connection = connection

    async def list_page(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[Secret]:
        page = {"limit": limit, "cursor": cursor}
        answer = await self._wire.get(self._connection.below("secrets"), page)
        return Page[Secret].read(answer)

    async def put(self, name: str, value: str, allowed_hosts: Sequence[str]) -> Secret:
        """The value is sent only to these hosts, and never comes back."""
        body = {"value": value, "allowed_hosts": list(allowed_hosts)}
        path = self._connection.below("secrets", name)
        answer = await self._wire.send("PUT", path, json=body)
        return Secret.read({"name": name} | (answer or {}))

    async def remove(self, name: str) -> None:
        await self._wire.send("DELETE", self._connection.below("secrets", name))
