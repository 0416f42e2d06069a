from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.effects import RecordRequest
from core.errors import Invalid, Unavailable
from core.flow import Flow
from core.run import Failure, RunOrigin, Workspace
from core.skill import Skill
from core.tool import Actor
from store.attempts import Attempts
from store.keys import Keys, mint_key
from store.pool import Pool, open_pool
from store.runs import NewRun, Runs
from store.schema import migrate
from store.sealing import Keyring
from store.secrets import Secrets
from store.skills import Skills
from store.workspaces import Workspaces
from tests.integration.line import Line

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring({"test": bytes(32)})
ACTOR = Actor(kind="system", id="test")
SOON = timedelta(milliseconds=300)


@pytest.fixture
async def line(database: str) -> AsyncIterator[Line]:
    line = Line(database)
    await line.open()
    yield line
    line.thaw()
    await line.cut()


@pytest.fixture
async def remote(line: Line) -> AsyncIterator[Pool]:
    async with await open_pool(line.dsn, max_size=2, answer_within=SOON) as pool:
        await connected(pool)
        yield pool


async def connected(pool: Pool) -> None:
    """On a busy machine a new connection may take longer than a test's pool waits."""
    while True:
        with suppress(Unavailable):
            await pool.fetchval("SELECT 1")
            return


def every_method(pool: Pool) -> dict[str, Callable[[], Awaitable[Any]]]:
    runs, keys, skills = Runs(pool, KEYRING), Keys(pool), Skills(pool)
    workspaces, secrets, attempts = (
        Workspaces(pool),
        Secrets(pool, KEYRING),
        Attempts(pool, KEYRING),
    )
    new = NewRun(
        run_id="r1",
        workspace_id="acme",
        skill="greet",
        version="v1",
        trigger="manual",
        actor=ACTOR,
        lineage="r1",
        created_at=NOON,
    )
    origin = RunOrigin(
        workspace=Workspace(id="acme", name="Acme"),
        skill="greet",
        version="v1",
        lineage="r1",
        actor=ACTOR,
    )
    record = RecordRequest(
        run="r1", seq=1, origin=origin, status="running", at=NOON, started_at=NOON
    )
    failure = Failure(code="failed", message="no")
    skill = Skill(name="greet", description="Greets.", instructions="", flow=Flow())
    return {
        "Attempts.codes": lambda: attempts.codes("r1", "acme", "a"),
        "Attempts.list_for": lambda: attempts.list_for("r1"),
        "Attempts.note": lambda: attempts.note("r1", "acme", "a", 1, failure, True, NOON),
        "Keys.create": lambda: keys.create("acme", "one", ["read"]),
        "Keys.find": lambda: keys.find(mint_key()),
        "Keys.list_keys": lambda: keys.list_keys("acme"),
        "Keys.revoke": lambda: keys.revoke("acme", "k1"),
        "Runs.archive": lambda: runs.archive("r1", "acme", []),
        "Runs.archived_log": lambda: runs.archived_log("r1", "acme"),
        "Runs.find": lambda: runs.find("r1", "acme"),
        "Runs.find_keyed": lambda: runs.find_keyed("acme", b"key", b"body"),
        "Runs.last_runs": lambda: runs.last_runs("acme"),
        "Runs.list_page": lambda: runs.list_page("acme"),
        "Runs.open_runs": lambda: runs.open_runs(NOON, 5),
        "Runs.queue": lambda: runs.queue(new),
        "Runs.record": lambda: runs.record(record),
        "Runs.settle": lambda: runs.settle("r1", "failed", NOON),
        "Runs.unarchived": lambda: runs.unarchived(5),
        "Secrets.delete": lambda: secrets.delete("acme", "token"),
        "Secrets.list_names": lambda: secrets.list_names("acme"),
        "Secrets.open": lambda: secrets.open("acme", "token"),
        "Secrets.put": lambda: secrets.put("acme", "token", "value", []),
        "Skills.files": lambda: skills.files("acme", "v1"),
        "Skills.find": lambda: skills.find("acme", "greet"),
        "Skills.find_version": lambda: skills.find_version("acme", "greet", "v1"),
        "Skills.list_skills": lambda: skills.list_skills("acme"),
        "Skills.mentioning_event": lambda: skills.mentioning_event("acme", "came"),
        "Skills.put": lambda: skills.put("acme", skill, {"SKILL.md": b""}),
        "Skills.remove": lambda: skills.remove("acme", "greet"),
        "Workspaces.change": lambda: workspaces.change("acme", name="Acme"),
        "Workspaces.create": lambda: workspaces.create("acme", "Acme"),
        "Workspaces.get": lambda: workspaces.get("acme"),
        "Workspaces.list_page": lambda: workspaces.list_page(),
    }


async def test_every_method_says_that_postgres_is_away(line: Line, remote: Pool) -> None:
    await line.cut()
    methods = every_method(remote)
    classes = (Attempts, Keys, Runs, Secrets, Skills, Workspaces)
    public = [f"{c.__name__}.{name}" for c in classes for name in vars(c) if name[0] != "_"]
    assert sorted(methods) == sorted(public)
    for name, call in methods.items():
        with pytest.raises(Unavailable) as caught:
            await call()
        assert caught.value.retryable, name
    with pytest.raises(Unavailable):
        await migrate(line.dsn)


async def test_a_pool_opened_while_postgres_is_away_works_when_it_comes(line: Line) -> None:
    await line.cut()
    async with await open_pool(line.dsn) as pool:
        with pytest.raises(Unavailable):
            await pool.fetchval("SELECT 1")
        await line.open()
        assert await pool.fetchval("SELECT 1") == 1


async def test_connections_that_were_cut_are_replaced(line: Line, remote: Pool) -> None:
    assert await remote.fetchval("SELECT 1") == 1
    line.freeze()
    unanswered = asyncio.create_task(remote.fetchval("SELECT 1"))
    await asyncio.sleep(0)
    await line.cut()
    with pytest.raises(Unavailable):
        await unanswered
    line.thaw()
    await line.open()
    assert await remote.fetchval("SELECT 1") == 1


async def test_a_backend_that_is_ended_is_named_and_replaced(remote: Pool) -> None:
    with pytest.raises(Unavailable):
        await remote.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await remote.fetchval("SELECT 1") == 1


async def test_a_silent_server_is_given_up(line: Line, remote: Pool) -> None:
    assert await remote.fetchval("SELECT 1") == 1
    line.freeze()
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable):
            await remote.fetchval("SELECT 1")
    line.thaw()
    assert await remote.fetchval("SELECT 1") == 1


async def test_a_pool_whose_connections_stay_in_use_says_so(line: Line) -> None:
    async with await open_pool(line.dsn, max_size=1, answer_within=SOON) as pool:
        await connected(pool)
        async with asyncio.timeout(5), pool.acquire():
            with pytest.raises(Unavailable):
                await pool.fetchval("SELECT 1")
        assert await pool.fetchval("SELECT 1") == 1


async def test_a_statement_that_takes_too_long_is_ended(remote: Pool) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable, match="QueryCanceledError"):
            await remote.fetchval("SELECT pg_sleep(30)")
    assert await remote.fetchval("SELECT 1") == 1


async def test_a_transaction_that_fails_leaves_nothing(remote: Pool) -> None:
    async def write_and_fail() -> None:
        async with remote.transaction() as connection:
            await connection.execute("INSERT INTO workspaces (id, name) VALUES ('acme', 'Acme')")
            raise ValueError("changed my mind")

    with pytest.raises(ValueError, match="changed my mind"):
        await write_and_fail()
    assert await remote.fetchval("SELECT count(*) FROM workspaces") == 0


@pytest.mark.parametrize("value", ["a\x00b", "\ud800"])
async def test_a_value_that_cannot_be_stored_is_named_and_not_quoted(
    remote: Pool, value: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await remote.fetchval("SELECT $1::text", value)
    assert value not in str(caught.value)


async def test_no_error_shows_where_postgres_is(line: Line, remote: Pool) -> None:
    await line.cut()
    with pytest.raises(Unavailable) as caught:
        await remote.fetchval("SELECT 1")
    assert "127.0.0.1" not in str(caught.value)


async def test_a_table_that_a_migration_changed_is_read_by_who_read_it_before(pool: Pool) -> None:
    await pool.execute("CREATE TABLE grown (id int)")
    await pool.fetch_filtered("SELECT * FROM grown")
    await pool.execute("ALTER TABLE grown ADD COLUMN name text DEFAULT 'new'")
    await pool.execute("INSERT INTO grown VALUES (1)")
    rows = await pool.fetch_filtered("SELECT * FROM grown")
    assert [dict(row) for row in rows] == [{"id": 1, "name": "new"}]
