"""Reading what has changed, while it goes on changing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from core.errors import SourceUnreadable
from tests.hubspot.crm import Thing
from tests.hubspot.reading import Reader, open_reader
from tests.receiver import reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from core.crm import Kind
    from tests.receiver import Received

MONDAY = datetime(2026, 11, 16, 9, 30, tzinfo=UTC)
KINDS: dict[str, Kind] = {
    "companies": "accounts",
    "contacts": "contacts",
    "deals": "deals",
    "notes": "activities",
}
LITTLE = timedelta(milliseconds=1)


@pytest_asyncio.fixture
async def reader() -> AsyncIterator[Reader]:
    async with open_reader() as reader:
        yield reader


def key(thing: Thing) -> str:
    return f"note-{thing.id}" if thing.kind == "notes" else thing.id


def searches(reader: Reader) -> list[dict[str, object]]:
    sent = [each for each in reader.server.requests if each.target.endswith("/search")]
    return [json.loads(each.body) for each in sent]


@pytest.mark.parametrize("name", KINDS)
async def test_only_what_changed_since_is_read(reader: Reader, name: str) -> None:
    crm = reader.server.crm
    before, at = crm.create(name, MONDAY - LITTLE), crm.create(name, MONDAY)
    touched = crm.create(name, MONDAY - timedelta(days=300))
    crm.update(touched, MONDAY + LITTLE, hubspot_owner_id=72)
    told = await reader.read(KINDS[name], MONDAY)
    assert [record.id for record in told.told] == [key(at), key(touched)]
    assert told.told[-1].owner == "72"
    everything = await reader.read(KINDS[name])
    assert everything.records.keys() == {key(each) for each in (before, at, touched)}


@pytest.mark.parametrize("name", KINDS)
async def test_what_was_deleted_since_is_told_with_its_time(reader: Reader, name: str) -> None:
    crm = reader.server.crm
    long_ago, gone, kept = (crm.create(name, MONDAY - timedelta(days=30)) for _ in range(3))
    crm.stand_still(MONDAY - timedelta(days=20))
    crm.archive(long_ago)
    crm.stand_still(MONDAY)
    crm.archive(gone)
    told = await reader.read(KINDS[name], MONDAY)
    assert [(each.id, each.modified_at, each.deleted) for each in told.told] == [
        (key(gone), MONDAY, True)
    ]
    everything = await reader.read(KINDS[name])
    assert everything.records.keys() == {key(kept)}


async def test_what_was_deleted_is_found_among_many(reader: Reader) -> None:
    crm = reader.server.crm
    crm.stand_still(MONDAY)
    things = [crm.create("contacts", MONDAY - timedelta(days=30)) for _ in range(230)]
    for thing in things:
        crm.archive(thing)
    told = await reader.read("contacts", MONDAY)
    assert [each.id for each in told.told if each.deleted] == [thing.id for thing in things]


@pytest.mark.parametrize("name", ["companies", "contacts", "deals"])
async def test_what_was_merged_into_another_is_gone(reader: Reader, name: str) -> None:
    crm = reader.server.crm
    one, other, kept = (crm.create(name, MONDAY - timedelta(days=30)) for _ in range(3))
    crm.stand_still(MONDAY)
    crm.merge(kept, one)
    crm.merge(kept, other)
    told = await reader.read(KINDS[name], MONDAY)
    assert {id: each.deleted for id, each in told.records.items()} == {
        kept.id: False,
        one.id: True,
        other.id: True,
    }
    assert all(each.modified_at == MONDAY for each in told.told)


async def test_more_changes_than_a_search_gives_are_read(reader: Reader) -> None:
    reader.server.api.ceiling = 1000
    made = [reader.server.crm.create("companies", MONDAY + n * LITTLE) for n in range(1500)]
    told = await reader.read("accounts", MONDAY)
    assert told.records.keys() == {each.id for each in made}
    assert all("after" not in each for each in searches(reader))


@pytest.mark.parametrize("several", [199, 200, 201, 400, 650])
async def test_many_changes_of_one_moment_are_read(reader: Reader, several: int) -> None:
    crm = reader.server.crm
    made = [crm.create("contacts", MONDAY - timedelta(seconds=1)) for _ in range(30)]
    made += [crm.create("contacts", MONDAY) for _ in range(several)]
    made += [crm.create("contacts", MONDAY + LITTLE) for _ in range(30)]
    told = await reader.read("contacts", MONDAY - timedelta(seconds=1))
    assert told.records.keys() == {each.id for each in made}


@pytest.mark.parametrize("since", [None, MONDAY], ids=["whole", "changes"])
@pytest.mark.parametrize("name", ["companies", "deals"])
async def test_nothing_is_lost_while_records_change(
    reader: Reader, name: str, since: datetime | None
) -> None:
    """Each request finds the world changed: what was ahead moves to the end, some is deleted."""
    crm, random = reader.server.crm, Random(7)
    made = [crm.create(name, MONDAY + n * LITTLE) for n in range(700)]

    def change(received: Received) -> None:
        for thing in random.sample(crm.of(name), 20):
            crm.update(thing, hubspot_owner_id=random.randrange(1000))
        crm.archive(random.choice(crm.of(name)))
        crm.create(name)

    reader.server.meanwhile = change
    told = await reader.read(KINDS[name], since)
    assert len(told.pages) > 4
    lost = {each.id for each in made if each.lives} - told.records.keys()
    assert lost == set()


async def test_a_deal_is_told_as_it_is_though_the_search_lags(reader: Reader) -> None:
    crm = reader.server.crm
    deal = crm.create("deals", MONDAY, dealname="Old")
    reader.server.api.index_delay = timedelta(seconds=30)
    crm.stand_still(MONDAY + timedelta(minutes=1))
    crm.update(deal, MONDAY + timedelta(seconds=50), dealname="New")
    (told,) = (await reader.read("deals", MONDAY)).told
    assert (told.name, told.modified_at) == ("New", MONDAY + timedelta(seconds=50))


async def test_a_deal_that_goes_while_it_is_read_is_told_as_deleted(reader: Reader) -> None:
    crm = reader.server.crm
    stays, goes = crm.create("deals", MONDAY), crm.create("deals", MONDAY)

    def change(received: Received) -> None:
        if received.target.endswith("/batch/read") and goes.lives:
            crm.archive(goes)

    reader.server.meanwhile = change
    told = await reader.read("deals", MONDAY)
    assert [(each.id, each.deleted) for each in told.told] == [(stays.id, False), (goes.id, True)]


async def test_new_people_are_a_change_of_a_deal_but_not_of_an_activity(reader: Reader) -> None:
    crm, past = reader.server.crm, MONDAY - timedelta(days=30)
    deal, contact, note = (crm.create(kind, past) for kind in ("deals", "contacts", "notes"))
    crm.stand_still(MONDAY)
    crm.link(deal, contact)
    crm.link(note, deal)
    (told,) = (await reader.read("deals", MONDAY)).told
    assert [each.contact for each in told.contacts] == [contact.id]
    assert (await reader.read("activities", MONDAY)).told == []
    assert (await reader.read("activities")).told[0].deals == (deal.id,)


async def test_links_of_hundreds_of_records_take_few_requests(reader: Reader) -> None:
    for number in range(400):
        reader.server.crm.create("notes", MONDAY + number * LITTLE)
    await reader.read("activities", MONDAY)
    paths = reader.server.paths()
    assert paths["/crm/v3/objects/notes/search"] == 3
    assert paths["/crm/v4/associations/notes/deals/batch/read"] == 3


@pytest.mark.parametrize(
    ("made", "wrong"),
    [
        (range(300), {"properties": {"hs_lastmodifieddate": "2020-01-01T00:00:00Z"}}),
        (range(300), {"properties": {}, "updatedAt": None}),
        ([0] * 500, {"id": "1"}),
        ([0] * 500, {"id": "one"}),
    ],
    ids=["backwards", "timeless", "ids-backwards", "no-ids"],
)
async def test_a_search_out_of_order_is_not_believed(
    reader: Reader, made: Sequence[int], wrong: dict[str, object]
) -> None:
    for number in made:
        reader.server.crm.create("companies", MONDAY + number * LITTLE)

    def spoil(received: Received, answer: bytes) -> bytes | None:
        if not received.target.endswith("/search"):
            return None
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
        told["results"][-1] |= wrong
        return reply(200, json.dumps(told).encode())

    reader.server.trouble = spoil
    with pytest.raises(SourceUnreadable, match="not in the order asked for"):
        await reader.read("accounts", MONDAY)


async def test_a_list_that_does_not_go_on_is_left(reader: Reader) -> None:
    stuck = {"results": [], "paging": {"next": {"after": "7"}}}
    answer = reply(200, json.dumps(stuck).encode())
    reader.server.trouble = lambda got, _: answer if "/objects/" in got.target else None
    with pytest.raises(SourceUnreadable, match="does not go on"):
        await reader.read("contacts")
