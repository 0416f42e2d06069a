"""When a reading of all there is may say that the rest is gone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from core.connector import HubSpotConfig, Page
from core.crm import Account
from store.sources import MANY, Sources

if TYPE_CHECKING:
    from store.pool import Pool

W, SOURCE = "w-test", "hubspot"
MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
LIVING = "SELECT id FROM crm_accounts WHERE workspace_id = $1 AND deleted_at IS NULL ORDER BY id"


async def read_whole(pool: Pool, run: str, *pages: Page) -> list[str]:
    """The accounts that are there afterwards."""
    sources = Sources(pool)
    await pool.execute("UPDATE sources SET sync_run = NULL")  # the run before has ended
    await sources.claim(W, SOURCE, run)
    await sources.begin(W, SOURCE, run, ["accounts"], "all")
    at = await sources.current_pass(W, SOURCE, "accounts", run)
    for page in pages:
        at = await sources.write_page(W, SOURCE, at, page, "sweep")
    while at.phase == "sweeping":
        at = await sources.sweep(W, SOURCE, at)
    assert at.phase == "done"
    return [row[0] for row in await pool.fetch(LIVING, W)]


def naming(*ids: str) -> tuple[Account, ...]:
    return tuple(Account(id=id, modified_at=MONDAY) for id in ids)


@pytest.mark.parametrize(
    ("first", "left"),
    [
        (Page(next="2"), ["hubspot:1"]),
        (Page(next="2", remarks=("accounts 1: no number",)), ["hubspot:1"]),
        (Page(next="2", faults=("accounts: 1 without an id",)), ["hubspot:1", "hubspot:2"]),
    ],
    ids=["all", "all-but-a-value", "not-all"],
)
async def test_only_who_named_all_says_what_is_gone(
    pool: Pool, first: Page, left: list[str]
) -> None:
    await pool.execute("INSERT INTO workspaces (id, name, timezone) VALUES ($1, 'A', 'UTC')", W)
    await Sources(pool).create(W, SOURCE, HubSpotConfig())
    before = await read_whole(pool, "sync-1", Page(records=naming("1", "2")))
    assert before == ["hubspot:1", "hubspot:2"]
    assert await read_whole(pool, "sync-2", first, Page(records=naming("1"))) == left
    (known,) = await Sources(pool).passes(W, SOURCE)
    assert known.tally.faults == len(first.faults + first.remarks)
    assert known.first_faults == (*first.faults, *first.remarks)


@pytest.mark.parametrize(("many", "counted"), [(MANY, MANY), (MANY - 1, -1)])
async def test_whoever_asks_after_a_large_sync_is_answered_with_all_in_mind(
    pool: Pool, many: int, counted: int
) -> None:
    await pool.execute("INSERT INTO workspaces (id, name, timezone) VALUES ($1, 'A', 'UTC')", W)
    await Sources(pool).create(W, SOURCE, HubSpotConfig())
    names = naming(*map(str, range(many)))
    await read_whole(pool, "sync-1", Page(records=names[:10], next="2"), Page(records=names[10:]))
    known = "SELECT reltuples::int FROM pg_class WHERE relname = 'crm_accounts'"
    assert (await pool.fetchrow(known))[0] == counted
