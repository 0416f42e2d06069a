"""Lists and lookups stay quick when there is much: none of them reads a whole table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from store import (
    attempts,
    budgets,
    callbacks,
    closing,
    deliveries,
    event_waits,
    events,
    keys,
    llm_config,
    notices,
    reports,
    runs,
    secrets,
    skills,
    spending,
    waits,
    webhook_secrets,
    workspaces,
)
from store.pool import Pool, open_pool

MUCH = """
    INSERT INTO workspaces (id, name) SELECT 'w' || n, 'W' FROM generate_series(0, 2999) n;
    INSERT INTO keys (id, workspace_id, name, scopes, hash)
        SELECT 'k' || n, 'w' || n % 1000, 'K', '{read}', '' FROM generate_series(0, 2999) n;
    INSERT INTO secrets (workspace_id, name, value, allowed_hosts)
        SELECT 'w' || n % 1000, 's' || n, '', '{}' FROM generate_series(0, 2999) n;
    INSERT INTO skill_versions (workspace_id, name, hash, skill)
        SELECT 'w' || n % 1000, 's' || n, 'h' || n, '{}' FROM generate_series(0, 2999) n;
    INSERT INTO skills (workspace_id, name, hash)
        SELECT workspace_id, name, hash FROM skill_versions;
    INSERT INTO skill_files (workspace_id, hash, path, content)
        SELECT workspace_id, hash, 'SKILL.md', '' FROM skill_versions;
    INSERT INTO attempts (run_id, path, attempt, workspace_id, code, failure, will_retry, at)
        SELECT 'r' || n % 1000, 'p' || n, 1, 'w1', 'c', '', true, now()
        FROM generate_series(0, 2999) n;
    INSERT INTO run_logs (run_id, workspace_id, events)
        SELECT 'r' || n, 'w1', '' FROM generate_series(0, 2999) n;
    INSERT INTO runs (
        run_id, workspace_id, skill, version, status, trigger, actor_kind, actor_id, lineage,
        idempotency_hash, created_at, completed_at, archived_at
    )
        SELECT 'r' || n, 'w' || n % 3, 's' || n % 20, 'v',
            CASE n % 50 WHEN 0 THEN 'running' WHEN 1 THEN 'failed' ELSE 'succeeded' END,
            'manual', 'key', 'k', 'r' || n, CASE n % 2 WHEN 0 THEN sha256(n::text::bytea) END,
            now() - n * interval '1 minute',
            CASE WHEN n % 50 > 0 THEN now() END, CASE WHEN n % 50 > 1 THEN now() END
        FROM generate_series(0, 19999) n;
    INSERT INTO run_usage (workspace_id, run_id) SELECT workspace_id, run_id FROM runs;
    INSERT INTO skill_usage (
        workspace_id, period, skill, key_source, calls, tokens, cost_nano, unpriced
    )
        SELECT 'w' || n % 1000, '2026-11-01', 's' || n, 'own', 1, 1, 1, 0
        FROM generate_series(0, 2999) n;
    INSERT INTO budget_months (workspace_id, period)
        SELECT 'w' || n, '2026-11-01' FROM generate_series(0, 2999) n;
    INSERT INTO llm_configs (workspace_id, token_budget)
        SELECT 'w' || n, 1000 FROM generate_series(0, 2999) n;
    INSERT INTO llm_keys (workspace_id, provider, value)
        SELECT 'w' || n, 'p', '' FROM generate_series(0, 2999) n;
    INSERT INTO llm_calls (
        workspace_id, call_key, request_hash, run_id, lineage, path, turn, attempt, skill, model,
        key_source, period, state, reserved, reserved_at
    )
        SELECT 'w' || n % 3, 'c' || n, 'h', 'r' || n, 'r' || n, 'p', 0, 1, 's', 'm', 'platform',
            '2026-11-01', CASE n % 100 WHEN 0 THEN 'reserved' ELSE 'settled' END, 1,
            now() - n * interval '1 minute'
        FROM generate_series(0, 19999) n;
    INSERT INTO top_ups (workspace_id, period, tokens, actor_kind, actor_id, idempotency_hash, at)
        SELECT 'w' || n % 3, '2026-11-01', 1, 'key', 'k', sha256(n::text::bytea), now()
        FROM generate_series(0, 2999) n;
    INSERT INTO waits (workspace_id, run_id, step, kind, stirred)
        SELECT 'w' || n % 1000, 'r' || n, 's', 'budget', (n % 50 = 0)::int
        FROM generate_series(0, 2999) n;
    INSERT INTO events (
        workspace_id, event_id, name, data, id_hash, request_hash, actor_kind, actor_id, at,
        dispatched_at
    )
        SELECT 'w' || n % 3, 'e' || n, 'n' || n % 20, '', sha256(n::text::bytea), '', 'key', 'k',
            now() - (20000 - n) * interval '1 minute', CASE WHEN n % 50 > 0 THEN now() END
        FROM generate_series(0, 19999) n;
    INSERT INTO waits (workspace_id, run_id, step, kind, event, taken)
        SELECT 'w' || n % 3, 'r' || n, 'e', 'event', 'n' || n % 20,
            CASE WHEN n % 50 > 0 THEN n END
        FROM generate_series(0, 9999) n;
    INSERT INTO notices (workspace_id, key, kind, data, delivered_at)
        SELECT 'w' || n % 1000, 'k' || n, 'budget_alert', '{}', CASE WHEN n % 50 > 0 THEN now() END
        FROM generate_series(0, 2999) n;
    INSERT INTO callbacks (run_id, workspace_id, url, started_at, delivered_at)
        SELECT 'r' || n, 'w' || n % 3, '', CASE WHEN n % 50 > 0 THEN now() END,
            CASE WHEN n % 50 > 1 THEN now() END
        FROM generate_series(0, 9999) n;
    INSERT INTO webhook_secrets (workspace_id, number, value)
        SELECT 'w' || n, 1, '' FROM generate_series(0, 2999) n;
    INSERT INTO deliveries (workspace_id, effect_key, run_id, channel, answer)
        SELECT 'w' || n % 1000, 'k' || n, 'r' || n, 'slack', '{}' FROM generate_series(0, 2999) n;
    ANALYZE
"""
NOW = datetime.now(UTC)
PERIOD = date(2026, 11, 1)
ASKED = ("w1", PERIOD, "r1", "c1", "h", 2, "m", 1, 1, True, None, "r1", "p", 0, "s", "platform")
USED = (0, 0, 0, 0, False, 1, "v", 1, b"", [75, 90, 100])
NEW_RUN = (
    "r1",
    "w1",
    "s",
    "v",
    "manual",
    "key",
    "k",
    *[None] * 4,
    "r1",
    None,
    b"",
    b"",
    b"",
    NOW,
    b"",
)


def page(
    *,
    skill: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    after: tuple[Any, Any] = (None, None),
) -> tuple[str, tuple[Any, ...]]:
    return runs.PAGE, ("w1", skill, status, None, None, since, None, *after, 51)


QUERIES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "newest runs": page(),
    "runs of a skill": page(skill="s1"),
    "runs of a skill that never ran": page(skill="nothing"),
    "runs in a frequent status": page(status="succeeded"),
    "runs in a rare status": page(status="failed"),
    "runs since": page(since=NOW - timedelta(days=9)),
    "a later page of runs": page(after=(NOW - timedelta(days=9), "r1")),
    "a later page of a skill's runs": page(skill="s1", after=(NOW - timedelta(days=9), "r1")),
    "queueing a run": (runs.QUEUE, NEW_RUN),
    "settling a run": (runs.SETTLE, ("r1", "failed", NOW, None, None, None)),
    "a run": (runs.FIND, ("r1", "w1")),
    "a run for an admin": (runs.FIND, ("r1", None)),
    "the run of a key": (runs.KEYED, ("w1", b"")),
    "the workspace of a run": (runs.WORKSPACE, ("r1",)),
    "open runs": (runs.OPEN, (NOW, None, None, 100)),
    "more open runs": (runs.OPEN, (NOW, NOW - timedelta(days=9), "r1", 100)),
    "runs without a log": (runs.UNARCHIVED, (100, NOW)),
    "archiving a log": (runs.ARCHIVE, ("r1", "w1", b"")),
    "the run before": (reports.PREVIOUS, ("w1", "s1", "r1", "r1")),
    "whether the demo model had a part": (reports.BY_DEMO, ("w1", "r1")),
    "what was told": (deliveries.FIND, ("w1", "k1")),
    "a callback": (callbacks.FIND, ("r1", "w1")),
    "a try of a callback": (callbacks.BEGIN, ("r1", "w1", 1)),
    "callbacks that nobody began": (callbacks.MISSED, (100,)),
    "callbacks that are lost": (callbacks.LOST, (timedelta(days=5),)),
    "what callbacks are signed with": (webhook_secrets.VALID, ("w1", timedelta(days=1), 5)),
    "an archived log": (runs.ARCHIVED, ("r1", "w1")),
    "last runs of each skill": (runs.LAST, ("w1",)),
    "reserving a call": (budgets.RESERVE, (*ASKED, NOW)),
    "settling a call": (closing.CLOSE, ("w1", 1, ["reserved"], "settled", *USED)),
    "holding the config": (budgets.HOLD, ("w1",)),
    "stirring those who wait for an event": (waits.STIR_EVENT, ("w1", "n1")),
    "noting a wait for an event": (
        event_waits.NOTE,
        ("w1", "r1", "s", NOW, "n1", b"", "r1", NOW),
    ),
    "a wait for an event": (event_waits.FIND, ("w1", "r1", "e")),
    "passing an event by": (event_waits.PASS_BY, ("w1", "r1", "e", 1)),
    "taking an event": (event_waits.TAKE, ("w1", "r1", "e", 1)),
    "giving up a wait": (event_waits.GIVE_UP, ("w1", "r1", "e")),
    "the event of an id": (events.FIND_KEYED, ("w1", b"")),
    "an event": (events.FIND, ("w1", "e1")),
    "newest events": (events.PAGE, ("w1", None, None, None, 51)),
    "a later page of events": (events.PAGE, ("w1", None, None, "e1", 51)),
    "newest events of a name": (events.PAGE, ("w1", "n1", None, None, 51)),
    "events that nobody dispatched": (events.UNDISPATCHED, (timedelta(seconds=5), 100)),
    "planning an event": (events.PLAN, ("w1", 1, b"")),
    "having dispatched an event": (events.DISPATCHED, ("w1", 1)),
    "events after one": (events.FOLLOWING, ("w1", "n1", 1, 50)),
    "stirring waits": (waits.STIR, ("w1", "budget")),
    "dead calls": (closing.DEAD, (NOW - timedelta(days=13), 100)),
    "a month": (spending.MONTH, ("w1", PERIOD)),
    "alerts of a month": (spending.ALERTS, ("w1", "2026-11")),
    "skills of a month": (spending.SKILLS, ("w1", PERIOD)),
    "usage of a run": (spending.RUN, ("w1", "r1")),
    "a top-up": (spending.TOPPED_UP, ("w1", b"")),
    "topping up": (spending.TOP_UP, ("w1", PERIOD, 1, "key", "k", b"", b"", NOW)),
    "how models are used": (llm_config.FIND, ("w1",)),
    "what a call has to know": (llm_config.OPEN, ("w1",)),
    "who is to look again": (waits.STIRRED, (100,)),
    "notices to deliver": (notices.UNDELIVERED, (10,)),
    "having delivered a notice": (notices.DELIVERED, ("w1", "k1")),
    "attempts": (attempts.LIST, ("r1",)),
    "a key": (keys.FIND, ("k1",)),
    "keys": (keys.LIST, ("w1",)),
    "a secret": (secrets.OPEN, ("w1", "s1")),
    "secrets": (secrets.LIST, ("w1",)),
    "a skill": (skills.FIND, ("w1", "s1")),
    "a version": (skills.FIND_VERSION, ("w1", "s1", "h1")),
    "skills": (skills.LIST, ("w1",)),
    "files": (skills.FILES, ("w1", "h1")),
    "a workspace": (workspaces.GET, ("w1",)),
    "workspaces": (workspaces.PAGE, ("w1", 51)),
}
SORTED_BY_THE_INDEX = {name for name in QUERIES if "runs" in name or "events" in name} | {
    "workspaces"
}


@pytest.fixture
async def much(pool: Pool) -> Pool:
    await pool.execute(MUCH)
    return pool


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


async def plan_of(pool: Pool, query: str, arguments: tuple[Any, ...]) -> list[str]:
    explained = json.loads(await pool.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *arguments))
    return [node["Node Type"] for node in nodes(explained[0]["Plan"])]


async def test_no_list_and_no_lookup_reads_a_whole_table(much: Pool) -> None:
    plans = {name: await plan_of(much, *query) for name, query in QUERIES.items()}
    assert {name: plan for name, plan in plans.items() if "Seq Scan" in plan} == {}
    assert [name for name, plan in plans.items() if not any("Index" in node for node in plan)] == []
    # A page that is sorted first reads everything before it shows a line.
    assert {n: plans[n] for n in SORTED_BY_THE_INDEX if "Sort" in plans[n]} == {}


async def test_a_filtered_list_has_a_plan_of_its_own(much: Pool, database: str) -> None:
    """A statement used often gets a general plan, which cannot know which filters are there."""
    query, arguments = page(skill="nothing")
    async with await open_pool(database, max_size=1) as pool:
        await pool.execute("SET plan_cache_mode = force_generic_plan")
        before = await rows_read(pool)
        assert await pool.fetch(query, *arguments) == []
        between = await rows_read(pool)
        assert await pool.fetch_filtered(query, *arguments) == []
        # The planner looks at a few ends of indexes itself.
        assert await rows_read(pool) - between < 10
        assert between - before > 1000


async def rows_read(pool: Pool) -> int:
    """By every backend, which tell of it only when they are asked to."""
    async with pool.acquire() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        return await connection.fetchval(
            "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_user_tables WHERE relname = 'runs'"
        )
