"""Uploaded files, kept in parts: whoever reads one holds no more of it than it asks for."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from core.crm import Kind
from core.errors import NotFound
from core.model import Frozen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from store.pool import Pool

PART = 256 * 1024

NEW = """
    INSERT INTO source_files (workspace_id, source_id, kind, format)
    SELECT workspace_id, id, $3, $4 FROM sources WHERE workspace_id = $1 AND id = $2
    RETURNING version
"""
ADD = """
    INSERT INTO source_file_parts (version, part, workspace_id, data) VALUES ($1, $2, $3, $4)
"""
READY = """
    UPDATE source_files SET ready = true, size = $3, lines = $4, uploaded_at = now()
    WHERE workspace_id = $1 AND version = $2
    RETURNING *
"""
# Keeps the one before, and those that are being uploaded.
DROP_OLD = """
    DELETE FROM source_files AS f
    WHERE workspace_id = $1 AND source_id = $2 AND kind = $3 AND CASE
        WHEN ready THEN version < (
            SELECT max(version) FROM source_files
            WHERE workspace_id = $1 AND source_id = $2 AND kind = $3 AND ready AND version < $4
        )
        ELSE uploaded_at < now() - interval '1 day'
    END
"""
DROP = "DELETE FROM source_files WHERE workspace_id = $1 AND version = $2"
CURRENT = """
    SELECT DISTINCT ON (kind) * FROM source_files
    WHERE workspace_id = $1 AND source_id = $2 AND ready
    ORDER BY kind, version DESC
"""
FIND = """
    SELECT * FROM source_files
    WHERE workspace_id = $1 AND source_id = $2 AND kind = $3 AND version = $4 AND ready
"""
READ = """
    SELECT data FROM source_file_parts
    WHERE workspace_id = $1 AND version = $2 AND part BETWEEN $3 AND $4
    ORDER BY part
"""


class StoredFile(Frozen):
    kind: Kind
    version: int
    format: Literal["csv", "jsonl"]
    size: int
    lines: int
    uploaded_at: datetime


class SourceFiles:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(
        self,
        workspace: str,
        source: str,
        kind: Kind,
        format: Literal["csv", "jsonl"],
        data: AsyncIterator[bytes],
    ) -> StoredFile:
        """Takes the place of the one before once all of it is here."""
        version = await self._pool.fetchval(NEW, workspace, source, kind, format)
        if version is None:
            raise NotFound(f"there is no source {source[:80]!r}")
        try:
            size = lines = part = 0
            async for piece in _in_parts(data):
                await self._pool.execute(ADD, version, part, workspace, piece)
                part, size, lines = part + 1, size + len(piece), lines + piece.count(b"\n")
        except BaseException:
            await self._pool.execute(DROP, workspace, version)
            raise
        row = await self._pool.fetchrow(READY, workspace, version, size, lines)
        if row is None:
            raise NotFound(f"there is no source {source[:80]!r} any more")
        await self._pool.execute(DROP_OLD, workspace, source, kind, version)
        return StoredFile(**_own(row))

    async def list_current(self, workspace: str, source: str) -> dict[Kind, StoredFile]:
        rows = await self._pool.fetch(CURRENT, workspace, source)
        return {row["kind"]: StoredFile(**_own(row)) for row in rows}

    async def find(
        self, workspace: str, source: str, kind: Kind, version: int
    ) -> StoredFile | None:
        row = await self._pool.fetchrow(FIND, workspace, source, kind, version)
        return None if row is None else StoredFile(**_own(row))

    async def read(self, workspace: str, version: int, start: int, length: int) -> bytes:
        first, last = start // PART, (start + length - 1) // PART
        rows = await self._pool.fetch(READ, workspace, version, first, last)
        data = b"".join(row["data"] for row in rows)
        skipped = start - first * PART
        return data[skipped : skipped + length]


async def _in_parts(data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Each of one size, so that a place in the file tells the part; the last may be shorter."""
    waiting = bytearray()
    async for piece in data:
        waiting += piece
        while len(waiting) >= PART:
            yield bytes(waiting[:PART])
            del waiting[:PART]
    if waiting:
        yield bytes(waiting)


def _own(row: asyncpg.Record) -> dict[str, Any]:
    return {name: row[name] for name in StoredFile.model_fields}
