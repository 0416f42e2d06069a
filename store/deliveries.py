"""What people were told, so that no try and no retry tells them twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from store.pool import Pool

FIND = "SELECT answer FROM deliveries WHERE workspace_id = $1 AND effect_key = $2"
KEEP = """
    INSERT INTO deliveries (workspace_id, effect_key, run_id, channel, answer)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING
"""


class Deliveries:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, workspace: str, effect_key: str) -> dict[str, Any] | None:
        return await self._pool.fetchval(FIND, workspace, effect_key)

    async def keep(
        self, workspace: str, effect_key: str, run_id: str, channel: str, answer: dict[str, Any]
    ) -> None:
        await self._pool.execute(KEEP, workspace, effect_key, run_id, channel, answer)
