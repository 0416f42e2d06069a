from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pydantic import ValidationError

from core.errors import NotFound
from core.skill import Skill, SkillVersion
from store.workspaces import owned_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from store.pool import Pool

PUT_VERSION = """
    INSERT INTO skill_versions (workspace_id, name, hash, skill) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING
"""
PUT_FILES = """
    INSERT INTO skill_files (workspace_id, hash, path, content)
    SELECT $1, $2, path, content FROM unnest($3::text[], $4::bytea[]) AS file (path, content)
    ON CONFLICT DO NOTHING
"""
PUT_NAME = """
    INSERT INTO skills (workspace_id, name, hash) VALUES ($1, $2, $3)
    ON CONFLICT (workspace_id, name) DO UPDATE SET hash = excluded.hash, updated_at = now()
"""
FIND_VERSION = """
    SELECT hash, skill FROM skill_versions WHERE workspace_id = $1 AND name = $2 AND hash = $3
"""
FIND = """
    SELECT hash, skill FROM skills JOIN skill_versions USING (workspace_id, name, hash)
    WHERE workspace_id = $1 AND name = $2
"""
LIST = """
    SELECT hash, skill FROM skills JOIN skill_versions USING (workspace_id, name, hash)
    WHERE workspace_id = $1 ORDER BY name
"""
# As it is stored; the same words may stand elsewhere in it, so that this only narrows.
MENTIONING = """
    SELECT name, hash, skill FROM skills JOIN skill_versions USING (workspace_id, name, hash)
    WHERE workspace_id = $1 AND strpos(skill, '"event":"' || $2 || '"') > 0
"""
FILES = "SELECT path, content FROM skill_files WHERE workspace_id = $1 AND hash = $2 ORDER BY path"
REMOVE = "DELETE FROM skills WHERE workspace_id = $1 AND name = $2 RETURNING name"


def hash_files(files: Mapping[str, bytes]) -> str:
    """The version's name: the same for the same files, whatever order they come in."""
    whole = hashlib.sha256()
    for path in sorted(files):
        for part in (path.encode(), files[path]):
            # Lengths keep "ab" + "c" and "a" + "bc" apart.
            whole.update(len(part).to_bytes(8))
            whole.update(part)
    return whole.hexdigest()


class Skills:
    """What workspaces uploaded. Versions stay after a removal, for runs in flight and retries."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(self, workspace: str, skill: Skill, files: Mapping[str, bytes]) -> SkillVersion:
        """From now on the name stands for these files; files seen before make no new version."""
        version = hash_files(files)
        paths = sorted(files)
        with owned_by(workspace):
            async with self._pool.transaction() as connection:
                await connection.execute(
                    PUT_VERSION, workspace, skill.name, version, skill.model_dump_json()
                )
                await connection.execute(
                    PUT_FILES, workspace, version, paths, [files[path] for path in paths]
                )
                row = await connection.fetchrow(FIND_VERSION, workspace, skill.name, version)
                await connection.execute(PUT_NAME, workspace, skill.name, version)
        if row is None:
            raise NotFound(f"version {version} of {skill.name} was not written")
        return _read(row)

    async def find(self, workspace: str, name: str) -> SkillVersion | None:
        row = await self._pool.fetchrow(FIND, workspace, name)
        return None if row is None else _read(row)

    async def find_version(self, workspace: str, name: str, version: str) -> SkillVersion | None:
        """Also a former one, and one of a skill that was removed."""
        row = await self._pool.fetchrow(FIND_VERSION, workspace, name, version)
        return None if row is None else _read(row)

    async def files(self, workspace: str, version: str) -> dict[str, bytes]:
        rows = await self._pool.fetch(FILES, workspace, version)
        return {row["path"]: row["content"] for row in rows}

    async def list_skills(self, workspace: str) -> list[SkillVersion]:
        return [_read(row) for row in await self._pool.fetch(LIST, workspace)]

    async def mentioning_event(self, workspace: str, event: str) -> dict[str, SkillVersion | None]:
        """All that have a trigger for it, and maybe more; None is one that this release cannot
        read."""
        found: dict[str, SkillVersion | None] = {}
        for row in await self._pool.fetch(MENTIONING, workspace, event):
            try:
                found[row["name"]] = _read(row)
            except ValidationError:
                found[row["name"]] = None
        return found

    async def remove(self, workspace: str, name: str) -> None:
        if await self._pool.fetchval(REMOVE, workspace, name) is None:
            raise NotFound(f"there is no skill {name!r}")


def _read(row: asyncpg.Record) -> SkillVersion:
    skill = Skill.model_validate_json(row["skill"])
    return SkillVersion(skill=skill, hash=row["hash"], layer="workspace")
