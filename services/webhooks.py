from __future__ import annotations

from typing import TYPE_CHECKING

from store.webhook_secrets import WebhookSecret as WebhookSecret

if TYPE_CHECKING:
    from store.webhook_secrets import WebhookSecrets


class WebhookService:
    """What receivers know by that a callback is from here."""

    def __init__(self, secrets: WebhookSecrets) -> None:
        self._secrets = secrets

    async def secret(self, workspace: str) -> WebhookSecret:
        return await self._secrets.current(workspace)

    async def rotate(self, workspace: str) -> WebhookSecret:
        return await self._secrets.rotate(workspace)
