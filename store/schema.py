"""The tables, brought up to date: `python -m store.schema` does it on DATABASE_URL."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from pathlib import Path

import asyncpg

from store.pool import CONNECT_WITHIN, named_failures

MIGRATIONS = Path(__file__).parent / "migrations"

ONE_AT_A_TIME = "SELECT pg_advisory_lock(hashtextextended('perdure.schema', 0))"
LEDGER = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        name text PRIMARY KEY,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""
APPLIED = "SELECT name, checksum FROM schema_migrations"
NOTE = "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)"


class MigrationChanged(Exception):
    """A file that was applied must stay as it was: another one changes what it did."""


async def migrate(dsn: str, folder: Path = MIGRATIONS) -> list[str]:
    """Applies what is missing, in order, and names it; any number of processes may try at once."""
    scripts = _scripts(folder)
    with named_failures():
        connection = await asyncpg.connect(dsn, timeout=CONNECT_WITHIN.total_seconds())
        try:
            await connection.execute(ONE_AT_A_TIME)
            await connection.execute(LEDGER)
            return await _apply(connection, scripts)
        finally:
            await connection.close(timeout=CONNECT_WITHIN.total_seconds())


def _scripts(folder: Path) -> dict[str, str]:
    return {file.stem: file.read_text("utf-8") for file in sorted(folder.glob("[0-9]*_*.sql"))}


async def _apply(connection: asyncpg.Connection, scripts: dict[str, str]) -> list[str]:
    applied = {row["name"]: row["checksum"] for row in await connection.fetch(APPLIED)}
    checksums = {name: hashlib.sha256(sql.encode()).hexdigest() for name, sql in scripts.items()}
    for name, checksum in checksums.items():
        if applied.get(name, checksum) != checksum:
            raise MigrationChanged(f"{name}.sql is not what was applied to this database")
    missing = [name for name in scripts if name not in applied]
    for name in missing:
        async with connection.transaction():
            await connection.execute(scripts[name])
            await connection.execute(NOTE, name, checksums[name])
    return missing


def main() -> None:
    dsn = os.environ.get("DATABASE_URL")
    if not dsn:
        sys.exit("set DATABASE_URL to the database to bring up to date")
    applied = asyncio.run(migrate(dsn))
    sys.stdout.write("".join(f"applied {name}\n" for name in applied) or "up to date\n")


if __name__ == "__main__":
    main()
