from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from core.crm import (
    Account,
    Activity,
    Change,
    Contact,
    Conversation,
    Deal,
    DealContact,
    Owner,
    Pipeline,
    Quota,
    Record,
    Stage,
)
from store.crm.records import Written
from tests.integration.told import ToldRecords

if TYPE_CHECKING:
    from store.pool import Pool

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
SALES = Pipeline(
    id="sales",
    modified_at=NOON,
    name="Sales",
    stages=(
        Stage(id="open", name="Open", position=0, probability=0.2),
        Stage(id="won", name="Won", position=1, probability=1, outcome="won"),
        Stage(id="lost", name="Lost", position=2, probability=0, outcome="lost"),
    ),
)


def later(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def deal(at: float = 0, **fields: Any) -> Deal:
    told = {"name": "Deal", "pipeline": "sales", "stage": "open", **fields}
    return Deal(id="d1", modified_at=later(at), **told)


@pytest.fixture
def records(pool: Pool) -> ToldRecords:
    return ToldRecords(pool)


async def write(records: ToldRecords, *told: Record, sync: str = "s1") -> Written:
    return await records.write("acme", "hubspot", told, sync=sync)


async def row(pool: Pool, table: str = "crm_deals") -> dict[str, Any]:
    (found,) = await pool.fetch(f"SELECT * FROM {table}")
    return dict(found)


async def test_every_kind_has_its_row(records: ToldRecords, pool: Pool) -> None:
    told: list[Record] = [
        Owner(id="o1", modified_at=NOON, name="Ada", email="ada@example.com", team="West"),
        SALES,
        Account(id="a1", modified_at=NOON, name="Initech", owner="o1", employees=40),
        Contact(id="c1", modified_at=NOON, name="Bo", account="a1", title="CFO"),
        deal(owner="o1", account="a1", amount=Decimal("1200.50"), close_date=date(2026, 12, 1),
             contacts=(DealContact(contact="c1", role="champion"),)),
        Activity(id="t1", modified_at=NOON, type="call", at=later(-2), deals=("d1",),
                 contacts=("c1",), body="Spoke."),
        Conversation(id="v1", modified_at=NOON, title="Demo", at=later(-1), deals=("d1",),
                     participants=("Bo",), transcript="Hello."),
        Quota(id="q1", modified_at=NOON, owner="o1", starts_on=date(2026, 10, 1),
              ends_on=date(2026, 12, 31), amount=Decimal(50_000)),
    ]  # fmt: skip
    assert await write(records, *told) == Written(written=8)

    owner = await row(pool, "crm_owners")
    assert (owner["id"], owner["source_id"], owner["team"]) == ("hubspot:o1", "hubspot", "West")
    stages = await pool.fetch("SELECT id, outcome FROM crm_stages ORDER BY position")
    assert [tuple(each) for each in stages] == [
        ("hubspot:open", "open"),
        ("hubspot:won", "won"),
        ("hubspot:lost", "lost"),
    ]
    account = await row(pool, "crm_accounts")
    assert (account["owner_id"], account["employees"]) == ("hubspot:o1", 40)
    assert (await row(pool, "crm_contacts"))["account_id"] == "hubspot:a1"
    stored = await row(pool)
    assert stored["amount"] == Decimal("1200.50")
    assert stored["close_date"] == date(2026, 12, 1)
    assert (stored["pipeline_id"], stored["stage_id"]) == ("hubspot:sales", "hubspot:open")
    contact = await row(pool, "crm_deal_contacts")
    assert (contact["deal_id"], contact["contact_id"]) == ("hubspot:d1", "hubspot:c1")
    assert contact["role"] == "champion"
    activity = await row(pool, "crm_activities")
    assert (activity["kind"], activity["contact_ids"]) == ("call", ["hubspot:c1"])
    link = await row(pool, "crm_activity_deals")
    assert (link["deal_id"], link["at"]) == ("hubspot:d1", later(-2))
    assert (await row(pool, "crm_conversations"))["participants"] == ["Bo"]
    assert (await row(pool, "crm_conversation_deals"))["conversation_id"] == "hubspot:v1"
    quota = await row(pool, "crm_quotas")
    assert (quota["starts_on"], quota["amount"]) == (date(2026, 10, 1), Decimal(50_000))


async def test_the_same_again_changes_nothing(records: ToldRecords, pool: Pool) -> None:
    told = (SALES, deal(amount=Decimal(10)))
    await write(records, *told)
    before = await row(pool)
    assert await write(records, *told) == Written(unchanged=2)
    assert await row(pool) == before


async def test_the_same_at_a_later_time_counts_as_unchanged(
    records: ToldRecords, pool: Pool
) -> None:
    await write(records, deal())
    assert await write(records, deal(at=1)) == Written(unchanged=1)
    assert (await row(pool))["modified_at"] == later(1)


async def test_an_older_state_never_replaces_a_newer(records: ToldRecords, pool: Pool) -> None:
    await write(records, deal(at=2, name="New"))
    assert await write(records, deal(at=1, name="Old")) == Written(unchanged=1)
    assert (await row(pool))["name"] == "New"


async def test_of_one_moment_the_last_that_was_told_stays(records: ToldRecords, pool: Pool) -> None:
    await write(records, deal(name="Misread"))
    assert await write(records, deal(name="Read well")) == Written(written=1)
    assert (await row(pool))["name"] == "Read well"


async def test_a_tombstone_stays_and_keeps_nothing_personal(
    records: ToldRecords, pool: Pool
) -> None:
    person = Contact(id="c1", modified_at=NOON, name="Bo", email="bo@example.com")
    await write(records, person)
    gone = Contact(id="c1", modified_at=later(1), deleted=True)
    assert await write(records, gone) == Written(deleted=1)
    assert await write(records, person, gone) == Written(unchanged=1)
    kept = await row(pool, "crm_contacts")
    assert (kept["deleted_at"], kept["name"], kept["email"]) == (later(1), "", None)
    back = person.model_copy(update={"modified_at": later(2)})
    assert await write(records, back) == Written(written=1)
    assert (await row(pool, "crm_contacts"))["deleted_at"] is None


async def test_a_tombstone_of_what_was_never_seen_keeps_late_pages_out(
    records: ToldRecords, pool: Pool
) -> None:
    for kind in (Owner, Pipeline, Account, Contact, Deal, Activity, Conversation, Quota):
        gone = kind(id="x", modified_at=later(1), deleted=True)
        assert await write(records, gone) == Written(unchanged=1)
        assert await write(records, kind(id="x", modified_at=NOON)) == Written(unchanged=1)
    assert (await row(pool))["deleted_at"] == later(1)


async def test_what_a_whole_pass_did_not_see_is_gone(records: ToldRecords, pool: Pool) -> None:
    stays = Account(id="a1", modified_at=NOON, name="Stays")
    goes = Account(id="a2", modified_at=NOON, name="Goes")
    await write(records, stays, goes, sync="s1")
    await write(records, stays, sync="s2")
    assert await records.delete_unseen("acme", "hubspot", "accounts", sync="s2") == 1
    assert await records.delete_unseen("acme", "hubspot", "accounts", sync="s2") == 0
    live = await pool.fetch("SELECT name FROM crm_accounts WHERE deleted_at IS NULL")
    assert [each["name"] for each in live] == ["Stays"]


async def test_what_was_not_seen_comes_back_as_it_was(records: ToldRecords, pool: Pool) -> None:
    call = Activity(id="t1", modified_at=NOON, type="call", at=NOON, deals=("d1",))
    await write(records, call)
    await records.delete_unseen("acme", "hubspot", "activities", sync="s2")
    assert await pool.fetch("SELECT * FROM crm_activity_deals") == []
    assert await write(records, call, sync="s3") == Written(written=1)
    assert (await row(pool, "crm_activities"))["deleted_at"] is None
    assert (await row(pool, "crm_activity_deals"))["activity_id"] == "hubspot:t1"


async def test_links_follow_their_record(records: ToldRecords, pool: Pool) -> None:
    call = Activity(id="t1", modified_at=NOON, at=NOON, deals=("d1", "d2", "d1"))
    await write(records, call)
    assert len(await pool.fetch("SELECT * FROM crm_activity_deals")) == 2
    moved = Activity(id="t1", modified_at=later(1), at=later(1), deals=("d2",))
    await write(records, moved)
    link = await row(pool, "crm_activity_deals")
    assert (link["deal_id"], link["at"]) == ("hubspot:d2", later(1))
    await write(records, call)
    assert (await row(pool, "crm_activity_deals"))["at"] == later(1)
    await write(records, Activity(id="t1", modified_at=later(2), deleted=True))
    assert await pool.fetch("SELECT * FROM crm_activity_deals") == []


@pytest.mark.parametrize("pipeline_comes", ["before", "after"])
async def test_a_deal_ends_as_its_stage_does(
    records: ToldRecords, pool: Pool, pipeline_comes: str
) -> None:
    history = (
        Change(field="stage", at=later(-9), value="open"),
        Change(field="stage", at=later(-3), value="won"),
    )
    told: list[Record] = [SALES, deal(stage="won", changes=history)]
    for each in told if pipeline_comes == "before" else reversed(told):
        await write(records, each)
    stored = await row(pool)
    assert (stored["outcome"], stored["stage_since"]) == ("won", later(-3))
    assert stored["closed_at"] == later(-3)


async def test_a_deal_closed_when_its_source_says(records: ToldRecords, pool: Pool) -> None:
    await write(records, SALES, deal(stage="lost", closed_at=later(-5)))
    assert (await row(pool))["closed_at"] == later(-5)
    await write(records, deal(at=1, stage="open", closed_at=later(-5)))
    assert (await row(pool))["closed_at"] is None


async def test_a_close_date_is_a_day_of_the_workspace(records: ToldRecords, pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO workspaces (id, name, timezone, settings)"
        " VALUES ('acme', 'Acme', 'America/New_York', '{}')"
    )
    await write(records, SALES, deal(stage="won", close_date=date(2026, 11, 1)))
    assert (await row(pool))["closed_at"] == datetime(2026, 11, 1, 4, tzinfo=UTC)


async def test_deals_follow_when_a_stage_gets_another_outcome(
    records: ToldRecords, pool: Pool
) -> None:
    await write(records, SALES, deal(stage="won", closed_at=later(-5)))
    stages = (SALES.stages[0], SALES.stages[1].model_copy(update={"outcome": "open"}))
    turned = SALES.model_copy(update={"modified_at": later(1), "stages": stages})
    await write(records, turned)
    stored = await row(pool)
    assert (stored["outcome"], stored["closed_at"]) == ("open", None)
    await write(records, SALES.model_copy(update={"modified_at": later(2)}))
    stored = await row(pool)
    assert (stored["outcome"], stored["closed_at"]) == ("won", later(-5))


async def changes(pool: Pool, field: str) -> list[tuple[Any, ...]]:
    rows = await pool.fetch(
        "SELECT at, old_value, new_value FROM crm_deal_changes WHERE field = $1 ORDER BY at", field
    )
    return [tuple(each) for each in rows]


async def test_a_history_is_kept_as_it_is_told(records: ToldRecords, pool: Pool) -> None:
    told = (
        Change(field="amount", at=later(-3), value="2000"),
        Change(field="stage", at=later(-9), value="open"),
        Change(field="amount", at=later(-9), value="1000"),
        Change(field="amount", at=later(-5), value="1000.00"),
        Change(field="owner", at=later(-9), value="o1"),
    )
    await write(records, deal(changes=told, amount=Decimal(2000)))
    amounts = [(later(-9), None, "1000.00"), (later(-3), "1000.00", "2000.00")]
    assert await changes(pool, "amount") == amounts
    assert await changes(pool, "stage") == [(later(-9), None, "hubspot:open")]
    assert await changes(pool, "owner") == [(later(-9), None, "hubspot:o1")]
    await write(records, deal(at=1, name="Renamed", changes=told, amount=Decimal(2000)))
    assert await changes(pool, "amount") == amounts


async def test_a_history_that_forgets_its_beginning_loses_nothing_here(
    records: ToldRecords, pool: Pool
) -> None:
    first = Change(field="amount", at=later(-9), value="10")
    second = Change(field="amount", at=later(-5), value="20")
    third = Change(field="amount", at=later(1), value="30")
    await write(records, deal(changes=(first, second)))
    await write(records, deal(at=1, changes=(second, third)))
    assert await changes(pool, "amount") == [
        (later(-9), None, "10.00"),
        (later(-5), "10.00", "20.00"),
        (later(1), "20.00", "30.00"),
    ]


async def test_without_a_history_changes_are_noted_from_now_on(
    records: ToldRecords, pool: Pool
) -> None:
    await write(records, SALES, deal(amount=Decimal(1000), close_date=date(2026, 12, 1)))
    assert await pool.fetch("SELECT * FROM crm_deal_changes") == []
    assert (await row(pool))["stage_since"] is None
    moved = deal(at=1, stage="won", amount=Decimal(800), close_date=date(2026, 12, 1), owner="o2")
    await write(records, moved)
    await write(records, moved)
    assert await changes(pool, "stage") == [(later(1), "hubspot:open", "hubspot:won")]
    assert await changes(pool, "amount") == [(later(1), "1000.00", "800.00")]
    assert await changes(pool, "owner") == [(later(1), None, "hubspot:o2")]
    assert await changes(pool, "close_date") == []
    stored = await row(pool)
    assert (stored["stage_since"], stored["closed_at"]) == (later(1), later(1))


async def test_what_has_no_history_is_noted_beside_what_has(
    records: ToldRecords, pool: Pool
) -> None:
    stages = (Change(field="stage", at=later(-9), value="open"),)
    await write(records, deal(amount=Decimal(10), changes=stages))
    await write(records, deal(at=1, amount=Decimal(20), changes=stages))
    assert await changes(pool, "amount") == [(later(1), "10.00", "20.00")]
    assert await changes(pool, "stage") == [(later(-9), None, "hubspot:open")]


async def test_a_source_sees_and_forgets_its_own_rows_only(
    records: ToldRecords, pool: Pool
) -> None:
    changed = (Change(field="stage", at=NOON, value="open"),)
    told = (SALES, deal(changes=changed), Activity(id="t1", modified_at=NOON, deals=("d1",)))
    places = [("acme", "hubspot"), ("acme", "demo"), ("globex", "hubspot")]
    for workspace, source in places:
        await records.write(workspace, source, told, sync="s1")
    await records.delete_unseen("acme", "hubspot", "deals", sync="s2")
    live = await pool.fetch("SELECT workspace_id, id FROM crm_deals WHERE deleted_at IS NULL")
    assert {tuple(each) for each in live} == {("acme", "demo:d1"), ("globex", "hubspot:d1")}
    assert await records.forget("acme", "hubspot") == 3
    for table in ("crm_deals", "crm_activity_deals", "crm_deal_changes", "crm_activities"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 2
    assert await pool.fetchval("SELECT count(*) FROM crm_stages") == 6


async def test_a_nul_character_costs_no_row(records: ToldRecords, pool: Pool) -> None:
    await write(records, Account(id="a1", modified_at=NOON, name="Ini\0tech \\u0000"))
    assert (await row(pool, "crm_accounts"))["name"] == "Initech \\u0000"
