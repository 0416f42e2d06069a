from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.workspace import WebhookSecret

if TYPE_CHECKING:
    from perdure.connection import Connection
    from perdure.wire import Wire


class Webhooks:
    """What the workspace's callbacks are signed with."""

    def __init__(self, wire: Wire, connection: Connection) -> None:
        self._wire = wire
        self._path = connection.below("webhooks", "secret")

    async def secret(self) -> WebhookSecret:
        return WebhookSecret.read(await self._wire.get(self._path))

    async def rotate(self) -> WebhookSecret:
        """A new one; for a day callbacks are signed with the old one too."""
        return WebhookSecret.read(await self._wire.send("POST", self._path))
