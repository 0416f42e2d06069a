from __future__ import annotations

import re
import secrets
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import asyncpg

from core.errors import AlreadyExists, FieldFault, Invalid, NotFound
from core.model import Frozen
from core.run import Workspace
from store.page import Page, decode_id, encode_cursor

if TYPE_CHECKING:
    from collections.abc import Generator

    from store.pool import Pool

WORKSPACE_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

CREATE = """
    INSERT INTO workspaces (id, name, timezone, settings) VALUES ($1, $2, $3, $4) RETURNING *
"""
GET = "SELECT * FROM workspaces WHERE id = $1"
PAGE = "SELECT * FROM workspaces WHERE id > $1 ORDER BY id LIMIT $2"
CHANGE = """
    UPDATE workspaces SET
        name = coalesce($2, name),
        timezone = coalesce($3, timezone),
        settings = coalesce($4, settings)
    WHERE id = $1
    RETURNING *
"""


class WorkspaceRow(Frozen):
    id: str
    name: str
    timezone: str
    settings: dict[str, Any]
    created_at: datetime

    @property
    def workspace(self) -> Workspace:
        return Workspace(id=self.id, name=self.name, timezone=self.timezone)


class Workspaces:
    """For admins, and to look up a workspace that a key has named."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(
        self,
        workspace_id: str | None,
        name: str,
        timezone: str = "UTC",
        settings: dict[str, Any] | None = None,
    ) -> WorkspaceRow:
        """Without an id it gets one."""
        chosen = f"ws-{secrets.token_hex(6)}" if workspace_id is None else workspace_id
        if not WORKSPACE_ID.fullmatch(chosen):
            message = "expected lower-case letters, digits and hyphens, at most 63"
            raise Invalid(f"bad workspace id: {message}", [FieldFault(field="id", message=message)])
        try:
            row = await self._pool.fetchrow(CREATE, chosen, name, timezone, settings or {})
        except asyncpg.UniqueViolationError:
            raise AlreadyExists(f"there is a workspace {chosen} already") from None
        return _read(row, chosen)

    async def get(self, workspace_id: str) -> WorkspaceRow:
        return _read(await self._pool.fetchrow(GET, workspace_id), workspace_id)

    async def list_page(self, limit: int = 50, cursor: str | None = None) -> Page[WorkspaceRow]:
        after = decode_id(cursor) if cursor else ""
        found = await self._pool.fetch(PAGE, after, limit + 1)
        rows = [_read(row, row["id"]) for row in found[:limit]]
        return Page(rows, encode_cursor(rows[-1].id) if len(found) > limit else None)

    async def change(
        self,
        workspace_id: str,
        name: str | None = None,
        timezone: str | None = None,
        settings: dict[str, Any] | None = None,
    ) -> WorkspaceRow:
        """What is None stays; `settings` are replaced whole."""
        row = await self._pool.fetchrow(CHANGE, workspace_id, name, timezone, settings)
        return _read(row, workspace_id)


@contextmanager
def owned_by(workspace_id: str) -> Generator[None]:
    """Names the failure of a row whose workspace does not exist."""
    try:
        yield
    except asyncpg.ForeignKeyViolationError:
        raise no_workspace(workspace_id) from None


def no_workspace(workspace_id: str) -> NotFound:
    return NotFound(f"there is no workspace {workspace_id!r}")


def _read(row: asyncpg.Record | None, workspace_id: str) -> WorkspaceRow:
    if row is None:
        raise no_workspace(workspace_id)
    return WorkspaceRow(**row)
