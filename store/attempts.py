"""Attempts that failed: Temporal's history keeps only what the last one said."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from core.model import Frozen
from core.run import Failure

if TYPE_CHECKING:
    from store.pool import Pool
    from store.sealing import Keyring

# Noted before the failure is reported, so a lost report makes the same attempt come again.
NOTE = """
    INSERT INTO attempts (run_id, workspace_id, path, attempt, code, failure, will_retry, at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT DO NOTHING
"""
LIST = """
    SELECT workspace_id, path, attempt, failure, will_retry, at FROM attempts
    WHERE run_id = $1 ORDER BY at, path, attempt
"""

CODES = """
    SELECT code FROM attempts WHERE run_id = $1 AND workspace_id = $2 AND path = $3
    ORDER BY attempt
"""


class AttemptNote(Frozen):
    path: str
    attempt: int
    failure: Failure
    will_retry: bool
    at: datetime


class Attempts:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def note(
        self,
        run_id: str,
        workspace: str,
        path: str,
        attempt: int,
        failure: Failure,
        will_retry: bool,  # noqa: FBT001 - a fact that is stored, not a choice of behaviour
        at: datetime,
    ) -> None:
        sealed = self._keyring.seal_json(
            failure.model_dump(mode="json"), _place(workspace, run_id, path, attempt)
        )
        await self._pool.execute(
            NOTE, run_id, workspace, path, attempt, failure.code, sealed, will_retry, at
        )

    async def list_for(self, run_id: str) -> list[AttemptNote]:
        """In order of time; whoever asks has found the run in a workspace they may see."""
        return [
            AttemptNote(
                path=row["path"],
                attempt=row["attempt"],
                failure=self._open(
                    row["failure"],
                    _place(row["workspace_id"], run_id, row["path"], row["attempt"]),
                ),
                will_retry=row["will_retry"],
                at=row["at"],
            )
            for row in await self._pool.fetch(LIST, run_id)
        ]

    async def codes(self, run_id: str, workspace: str, path: str) -> tuple[str, ...]:
        """What the attempts until now failed with; those that a dead worker had are not among."""
        rows = await self._pool.fetch(CODES, run_id, workspace, path)
        return tuple(row["code"] for row in rows)

    def _open(self, sealed: bytes, place: str) -> Failure:
        return Failure.model_validate(self._keyring.open_json(sealed, place))


def _place(workspace: str, run_id: str, path: str, attempt: int) -> str:
    return f"{workspace}/runs/{run_id}/attempts/{path}/{attempt}"
