from __future__ import annotations

import asyncio
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from dev import postgres
from dev.errors import CannotStart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def serving(data: Path) -> Iterator[subprocess.Popen[bytes]]:
    postgres.prepare(data)
    with (data.parent / "log").open("ab") as log:
        server = subprocess.Popen(
            postgres.command(data, postgres.SETTINGS),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=postgres.environment(),
        )
    try:
        yield server
    finally:
        server.send_signal(postgres.STOP_SIGNAL)
        server.wait(20)


async def answer(data: Path, query: str) -> object:
    async with asyncio.timeout(20):
        connection = await postgres.connect(postgres.dsn(data, "perdure"))
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_it_serves_where_shells_and_sockets_stumble_and_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long path with a comma and spaces, foreign PG* variables, a language not installed."""
    home = tmp_path / ("my, own project " * 6)
    home.mkdir(parents=True)
    data = home.resolve() / "postgres"
    monkeypatch.setenv("PGPORT", "9999")
    monkeypatch.setenv("LANG", "tlh_KX.UTF-8")
    assert postgres.socket_dir(data) != data
    with serving(data) as server:
        monkeypatch.delenv("PGPORT")
        await asyncio.wait_for(postgres.ensure_database(data, "perdure"), 20)
        await asyncio.wait_for(postgres.ensure_database(data, "perdure"), 20)
        await answer(data, "CREATE TABLE kept AS SELECT 1 AS one")
        # Beside the new server's own pid file lies the killed one's.
        server.kill()
        server.wait()
        with serving(data):
            assert await answer(data, "SELECT one FROM kept") == 1
    postgres.leave(data)
    assert not postgres.socket_dir(data).exists()


@pytest.mark.parametrize("lock", ["postmaster.pid", ".s.PGSQL.5432.lock"])
def test_a_pid_that_is_somebody_elses_by_now_is_forgotten(tmp_path: Path, lock: str) -> None:
    with subprocess.Popen(["/bin/sleep", "1000"]) as bystander:
        (tmp_path / lock).write_text(f"{bystander.pid}\n{tmp_path}\n")
        postgres.settle(tmp_path)
        assert bystander.poll() is None
        bystander.kill()
    assert not (tmp_path / lock).exists()


def test_what_an_interrupted_first_start_left_is_thrown_away(tmp_path: Path) -> None:
    half = tmp_path / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("half")
    postgres.prepare(tmp_path / "postgres")
    assert (tmp_path / "postgres" / "PG_VERSION").read_text() == f"{postgres.MAJOR_VERSION}\n"
    assert not half.exists()


def test_another_versions_directory_is_refused_untouched(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("16\n")
    (data / "postmaster.pid").write_text("1\n")
    with pytest.raises(CannotStart, match="was made by PostgreSQL 16, this is 18"):
        postgres.prepare(data)
    assert (data / "postmaster.pid").exists()


def test_a_directory_that_is_no_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="is not a PostgreSQL directory"):
        postgres.prepare(tmp_path)
