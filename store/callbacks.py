"""Who outside is told how a run ended, and how far that has come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from core.callback import CallbackRequest
from core.run import Callback

if TYPE_CHECKING:
    from asyncpg import Record

    from store.pool import Pool
    from store.sealing import Keyring

FIND = """
    SELECT url, attempts, last_error, delivered_at, gave_up_at FROM callbacks
    WHERE run_id = $1 AND workspace_id = $2
"""
# An attempt that is told twice, because its worker died, is still one.
BEGIN = """
    UPDATE callbacks
    SET attempts = greatest(attempts, $3), started_at = coalesce(started_at, now())
    WHERE run_id = $1 AND workspace_id = $2 AND delivered_at IS NULL AND gave_up_at IS NULL
    RETURNING url
"""
FAILED = """
    UPDATE callbacks SET last_status = $3, last_error = $4
    WHERE run_id = $1 AND workspace_id = $2 AND delivered_at IS NULL
"""
DELIVERED = """
    UPDATE callbacks SET delivered_at = now(), gave_up_at = NULL, last_error = NULL
    WHERE run_id = $1 AND workspace_id = $2 AND delivered_at IS NULL
"""
GAVE_UP = """
    UPDATE callbacks SET gave_up_at = now(), last_error = coalesce($3, last_error)
    WHERE run_id = $1 AND workspace_id = $2 AND delivered_at IS NULL AND gave_up_at IS NULL
"""
MISSED = """
    SELECT callbacks.run_id, callbacks.workspace_id
    FROM callbacks JOIN runs USING (run_id, workspace_id)
    WHERE callbacks.started_at IS NULL AND delivered_at IS NULL AND gave_up_at IS NULL
        AND runs.completed_at IS NOT NULL
    ORDER BY callbacks.created_at
    LIMIT $1
"""
STARTED = """
    UPDATE callbacks SET started_at = coalesce(started_at, now())
    WHERE run_id = $1 AND workspace_id = $2
"""
# Its workflow would have said so, were it not terminated or lost.
LOST = """
    UPDATE callbacks SET gave_up_at = now()
    WHERE delivered_at IS NULL AND gave_up_at IS NULL AND started_at < now() - $1::interval
"""


class Callbacks:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def find(self, run_id: str, workspace: str) -> Callback | None:
        row = await self._pool.fetchrow(FIND, run_id, workspace)
        return None if row is None else self._opened(row, run_id, workspace)

    async def url(self, run_id: str, workspace: str) -> str | None:
        row = await self._pool.fetchrow(FIND, run_id, workspace)
        return None if row is None else self._opened_url(row, run_id, workspace)

    async def begin(self, request: CallbackRequest, attempt: int) -> str | None:
        """Where to post to; None where nothing is left to tell."""
        place = (request.run, request.workspace)
        row = await self._pool.fetchrow(BEGIN, *place, attempt)
        return None if row is None else self._opened_url(row, *place)

    async def failed(self, request: CallbackRequest, status: int | None, error: str) -> None:
        sealed = self._keyring.seal(error.encode(), _error(request.run, request.workspace))
        await self._pool.execute(FAILED, request.run, request.workspace, status, sealed)

    async def delivered(self, request: CallbackRequest) -> None:
        await self._pool.execute(DELIVERED, request.run, request.workspace)

    async def gave_up(self, request: CallbackRequest, error: str | None) -> None:
        place = (request.run, request.workspace)
        sealed = self._keyring.seal(error.encode(), _error(*place)) if error else None
        await self._pool.execute(GAVE_UP, *place, sealed)

    async def missed(self, limit: int) -> list[CallbackRequest]:
        """Of all workspaces: runs that ended, and whose callback nobody has begun."""
        rows = await self._pool.fetch(MISSED, limit)
        return [CallbackRequest(run=row["run_id"], workspace=row["workspace_id"]) for row in rows]

    async def started(self, request: CallbackRequest) -> None:
        await self._pool.execute(STARTED, request.run, request.workspace)

    async def give_up_lost(self, after: timedelta) -> None:
        """Of all workspaces: what should have come to its end by then."""
        await self._pool.execute(LOST, after)

    def _opened_url(self, row: Record, run_id: str, workspace: str) -> str:
        return self._keyring.open(row["url"], _url(run_id, workspace)).decode()

    def _opened(self, row: Record, run_id: str, workspace: str) -> Callback:
        error = row["last_error"]
        ended = "gave_up" if row["gave_up_at"] else "pending"
        return Callback(
            status="delivered" if row["delivered_at"] else ended,
            attempts=row["attempts"],
            last_error=error and self._keyring.open(error, _error(run_id, workspace)).decode(),
            delivered_at=row["delivered_at"],
        )


def sealed_url(keyring: Keyring, run_id: str, workspace: str, url: str) -> bytes:
    return keyring.seal(url.encode(), _url(run_id, workspace))


def _url(run_id: str, workspace: str) -> str:
    return f"{workspace}/callbacks/{run_id}/url"


def _error(run_id: str, workspace: str) -> str:
    return f"{workspace}/callbacks/{run_id}/last_error"
