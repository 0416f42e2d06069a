"""What people should hear of, until it has been told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.model import Frozen

if TYPE_CHECKING:
    from store.pool import Pool

# One call may reach several percentages at once: the lowest is told first.
UNDELIVERED = """
    SELECT workspace_id, key, kind, data FROM notices
    WHERE delivered_at IS NULL
    ORDER BY at, data -> 'percent'
    LIMIT $1
"""
DELIVERED = """
    UPDATE notices SET delivered_at = now()
    WHERE workspace_id = $1 AND key = $2 AND delivered_at IS NULL
"""


class Notice(Frozen):
    """`key` is the same for ever: what a repetition is known by."""

    workspace: str
    key: str
    kind: str
    data: dict[str, Any]


class Notices:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def undelivered(self, limit: int) -> list[Notice]:
        """Of all workspaces, the oldest first."""
        return [
            Notice(
                workspace=row["workspace_id"], key=row["key"], kind=row["kind"], data=row["data"]
            )
            for row in await self._pool.fetch(UNDELIVERED, limit)
        ]

    async def delivered(self, notice: Notice) -> None:
        await self._pool.execute(DELIVERED, notice.workspace, notice.key)
