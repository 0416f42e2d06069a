"""What a workspace's callbacks are signed with."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import Field

from core.model import Frozen
from store.workspaces import owned_by

if TYPE_CHECKING:
    from asyncpg import Record

    from store.pool import Pool
    from store.sealing import Keyring

SECRET_BYTES = 32
SIGN_ALONG = timedelta(hours=24)
# So that no number of rotations makes the header longer than receivers read.
MOST = 5

CREATE = """
    INSERT INTO webhook_secrets (workspace_id, number, value) VALUES ($1, 1, $2)
    ON CONFLICT DO NOTHING
"""
# Two that rotate at the same moment make one new secret.
ROTATE = """
    INSERT INTO webhook_secrets (workspace_id, number, value)
    SELECT $1, coalesce(max(number), 0) + 1, $2 FROM webhook_secrets WHERE workspace_id = $1
    ON CONFLICT DO NOTHING
"""
VALID = """
    SELECT value, created_at, replaced_at FROM (
        SELECT value, number, created_at, lead(created_at) OVER (ORDER BY number) AS replaced_at
        FROM webhook_secrets WHERE workspace_id = $1
    ) AS secrets
    WHERE replaced_at IS NULL OR replaced_at > now() - $2::interval
    ORDER BY number DESC
    LIMIT $3
"""


class WebhookSecret(Frozen):
    """`previous_until`: how long the one before it signs along, where it does."""

    value: bytes = Field(repr=False)
    created_at: datetime
    previous_until: datetime | None = None


class WebhookSecrets:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def current(self, workspace: str) -> WebhookSecret:
        """Made when it is first asked for."""
        rows = await self._valid(workspace)
        before = rows[1]["replaced_at"] if len(rows) > 1 else None
        return WebhookSecret(
            value=self._open(rows[0]["value"], workspace),
            created_at=rows[0]["created_at"],
            previous_until=before and before + SIGN_ALONG,
        )

    async def signing(self, workspace: str) -> tuple[bytes, ...]:
        """The current one first, then those that were replaced a short while ago."""
        return tuple(self._open(row["value"], workspace) for row in await self._valid(workspace))

    async def rotate(self, workspace: str) -> WebhookSecret:
        with owned_by(workspace):
            await self._pool.execute(ROTATE, workspace, self._fresh(workspace))
        return await self.current(workspace)

    async def _valid(self, workspace: str) -> list[Record]:
        rows = await self._pool.fetch(VALID, workspace, SIGN_ALONG, MOST)
        if rows:
            return rows
        with owned_by(workspace):
            await self._pool.execute(CREATE, workspace, self._fresh(workspace))
        return await self._pool.fetch(VALID, workspace, SIGN_ALONG, MOST)

    def _fresh(self, workspace: str) -> bytes:
        return self._keyring.seal(os.urandom(SECRET_BYTES), _place(workspace))

    def _open(self, sealed: bytes, workspace: str) -> bytes:
        return self._keyring.open(sealed, _place(workspace))


def _place(workspace: str) -> str:
    return f"{workspace}/webhook_secrets"
