"""What runs gave, as later ones and their readers look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.report import PreviousOutput

if TYPE_CHECKING:
    from store.pool import Pool
    from store.sealing import Keyring

# The run that asks has a row, unless the database was restored from before it began.
PREVIOUS = """
    SELECT run_id, completed_at, output FROM runs
    WHERE workspace_id = $1 AND skill = $2 AND status = 'succeeded' AND lineage <> $4
        AND created_at < coalesce(
            (SELECT created_at FROM runs WHERE run_id = $3 AND workspace_id = $1), now()
        )
    ORDER BY created_at DESC, run_id DESC
    LIMIT 1
"""

# All that the run was given by those it retries, and what the skills gave that it started.
BY_DEMO = """
    WITH RECURSIVE family AS (
        SELECT run_id FROM runs WHERE workspace_id = $1 AND lineage = $2
        UNION
        SELECT runs.run_id FROM family JOIN runs ON runs.parent = family.run_id
        WHERE runs.workspace_id = $1
    )
    SELECT EXISTS (
        SELECT FROM family JOIN llm_calls USING (run_id)
        WHERE llm_calls.workspace_id = $1 AND llm_calls.model LIKE 'demo%/%'
    )
"""


class Reports:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def previous(
        self, workspace: str, skill: str, run_id: str, lineage: str
    ) -> PreviousOutput | None:
        """Of the last run of this skill that succeeded and began before, in another lineage."""
        row = await self._pool.fetchrow(PREVIOUS, workspace, skill, run_id, lineage)
        if row is None:
            return None
        output = None
        if row["output"] is not None:
            place = f"{workspace}/runs/{row['run_id']}/output"
            output = self._keyring.open_json(row["output"], place)
        return PreviousOutput(run_id=row["run_id"], completed_at=row["completed_at"], output=output)

    async def by_demo(self, workspace: str, lineage: str) -> bool:
        """Whether the demo model had a part in it."""
        return await self._pool.fetchval(BY_DEMO, workspace, lineage)
