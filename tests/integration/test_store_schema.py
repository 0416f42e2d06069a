from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import pytest

from store.pool import Pool
from store.schema import MIGRATIONS, MigrationChanged, migrate


@pytest.fixture
async def empty(pool: Pool, database: str) -> str:
    """The DSN of a database that nobody has migrated."""
    await pool.execute("DROP SCHEMA public CASCADE")
    await pool.execute("CREATE SCHEMA public")
    return database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0002_second.sql").write_text("ALTER TABLE one ADD COLUMN b int;")
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE one (a int); INSERT INTO one VALUES (1)")
    (tmp_path / "notes.sql").write_text("not a migration")
    return tmp_path


async def test_the_real_ones_apply_to_an_empty_database(empty: str) -> None:
    names = sorted(file.stem for file in MIGRATIONS.glob("*.sql"))
    assert await migrate(empty) == names
    assert await migrate(empty) == []


async def test_migrations_apply_once_and_in_order(empty: str, folder: Path, pool: Pool) -> None:
    assert await migrate(empty, folder) == ["0001_first", "0002_second"]
    (folder / "0003_third.sql").write_text("ALTER TABLE one RENAME TO two")
    assert await migrate(empty, folder) == ["0003_third"]
    assert await migrate(empty, folder) == []
    assert [tuple(row) for row in await pool.fetch("SELECT a, b FROM two")] == [(1, None)]


async def test_many_processes_at_once_apply_each_once(empty: str, folder: Path) -> None:
    applied = await asyncio.gather(*(migrate(empty, folder) for _ in range(8)))
    assert sorted(applied) == [[]] * 7 + [["0001_first", "0002_second"]]


async def test_a_migration_that_fails_leaves_nothing_and_can_be_mended(
    empty: str, folder: Path, pool: Pool
) -> None:
    second = folder / "0002_second.sql"
    second.write_text("CREATE TABLE half (a int); SELECT no_such_column FROM one")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(empty, folder)
    assert await pool.fetchval("SELECT to_regclass('one') IS NOT NULL")
    assert await pool.fetchval("SELECT to_regclass('half') IS NULL")
    second.write_text("CREATE TABLE half (a int)")
    assert await migrate(empty, folder) == ["0002_second"]


async def test_a_migration_and_the_note_of_it_are_one(empty: str, folder: Path, pool: Pool) -> None:
    spoiled = "CREATE TABLE one (a int); INSERT INTO schema_migrations VALUES ('0001_first', '')"
    (folder / "0001_first.sql").write_text(spoiled)
    with pytest.raises(asyncpg.UniqueViolationError):
        await migrate(empty, folder)
    assert await pool.fetchval("SELECT to_regclass('one') IS NULL")


async def test_a_migration_that_was_changed_afterwards_is_refused(
    empty: str, folder: Path, pool: Pool
) -> None:
    await migrate(empty, folder)
    (folder / "0001_first.sql").write_text("CREATE TABLE one (a text)")
    (folder / "0003_third.sql").write_text("DROP TABLE one")
    with pytest.raises(MigrationChanged, match=r"0001_first\.sql"):
        await migrate(empty, folder)
    assert await pool.fetchval("SELECT to_regclass('one') IS NOT NULL")


async def test_a_database_newer_than_this_code_is_left_alone(empty: str, folder: Path) -> None:
    await migrate(empty, folder)
    (folder / "0002_second.sql").unlink()
    assert await migrate(empty, folder) == []


async def test_the_command_says_what_it_did(empty: str) -> None:
    applied = "".join(f"applied {file.stem}\n" for file in sorted(MIGRATIONS.glob("*.sql")))
    assert await command({"DATABASE_URL": empty}) == (0, applied, "")
    assert await command({"DATABASE_URL": empty}) == (0, "up to date\n", "")
    code, said, complaint = await command({})
    assert (code, said) == (1, "")
    assert "DATABASE_URL" in complaint


async def command(environment: dict[str, str]) -> tuple[int | None, str, str]:
    rest = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "store.schema",
        env=rest | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await process.communicate()
    return process.returncode, said.decode(), complaint.decode()
