"""What people should hear of, until a notifier has delivered it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from core.model import Frozen

if TYPE_CHECKING:
    from store.pool import Pool

# A notifier that dies with a notice in its hands gives it back when its time is over.
TAKE = """
    UPDATE notices SET taken_until = now() + $1
    WHERE (workspace_id, key) IN (
        SELECT workspace_id, key FROM notices
        WHERE delivered_at IS NULL AND (taken_until IS NULL OR taken_until < now())
        ORDER BY at
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
    RETURNING workspace_id, key, kind, data, at
"""
DELIVERED = """
    UPDATE notices SET delivered_at = now()
    WHERE workspace_id = $1 AND key = $2 AND delivered_at IS NULL
"""
LIST = """
    SELECT workspace_id, key, kind, data, at FROM notices WHERE workspace_id = $1 ORDER BY at, key
"""


class Notice(Frozen):
    """`key` is the same for ever: receivers get it as what to know a repetition by."""

    workspace: str
    key: str
    kind: str
    data: dict[str, Any]
    at: datetime


class Notices:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def take(self, limit: int, lease: timedelta) -> list[Notice]:
        """Of all workspaces, oldest first; nobody else is given them before the lease ends."""
        rows = await self._pool.fetch(TAKE, lease, limit)
        return sorted((_read(row) for row in rows), key=lambda notice: (notice.at, notice.key))

    async def delivered(self, notice: Notice) -> None:
        await self._pool.execute(DELIVERED, notice.workspace, notice.key)

    async def list_for(self, workspace: str) -> list[Notice]:
        return [_read(row) for row in await self._pool.fetch(LIST, workspace)]


def _read(row: Any) -> Notice:
    return Notice(
        workspace=row["workspace_id"],
        key=row["key"],
        kind=row["kind"],
        data=row["data"],
        at=row["at"],
    )
