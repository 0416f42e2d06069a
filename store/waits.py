"""What runs wait for, so that whoever changes it can tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.model import Frozen

if TYPE_CHECKING:
    from store.pool import Pool

# Whoever notes a wait looks once more afterwards, so nothing is owed to it from before.
NOTE = """
    INSERT INTO waits (workspace_id, run_id, step, kind, until) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (workspace_id, run_id, step) DO UPDATE SET
        kind = excluded.kind, until = excluded.until, woken = waits.stirred
"""
# In a statement of its own, after the one that holds what was changed: it must see every wait that
# was noted before.
STIR = "UPDATE waits SET stirred = stirred + 1 WHERE workspace_id = $1 AND kind = $2"
STIR_EVENT = """
    UPDATE waits SET stirred = stirred + 1
    WHERE workspace_id = $1 AND event = $2 AND taken IS NULL
"""
STIRRED = """
    SELECT workspace_id, run_id, step, kind, stirred FROM waits WHERE stirred > woken
    ORDER BY workspace_id, run_id
    LIMIT $1
"""
# What stirred it while it was being told, it has to be told again.
WOKEN = """
    UPDATE waits SET woken = greatest(woken, $4), seen = greatest(seen, $5)
    WHERE workspace_id = $1 AND run_id = $2 AND step = $3
"""
FORGET_RUN = "DELETE FROM waits WHERE workspace_id = $1 AND run_id = $2"


class Stirred(Frozen):
    """A run that should look again, and how often its wait was stirred by then."""

    workspace: str
    run: str
    step: str
    kind: str
    stirs: int


class Waits:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def forget_run(self, workspace: str, run: str) -> None:
        """It ended."""
        await self._pool.execute(FORGET_RUN, workspace, run)

    async def stirred(self, limit: int) -> list[Stirred]:
        """Of all workspaces."""
        return [
            Stirred(
                workspace=row["workspace_id"],
                run=row["run_id"],
                step=row["step"],
                kind=row["kind"],
                stirs=row["stirred"],
            )
            for row in await self._pool.fetch(STIRRED, limit)
        ]

    async def woken(self, stirred: Stirred, seen: int = 0) -> None:
        """`seen`: up to this event, none ends the wait."""
        place = (stirred.workspace, stirred.run, stirred.step)
        await self._pool.execute(WOKEN, *place, stirred.stirs, seen)
