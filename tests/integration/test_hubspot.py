"""What each object of HubSpot becomes."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from core.crm import (
    Account,
    Activity,
    Change,
    Contact,
    Deal,
    DealContact,
    Owner,
    Pipeline,
    Stage,
)
from core.errors import SecretNotAllowed, SourceRefused, SourceRejected
from tests.hubspot.crm import PRIMARY, Thing
from tests.hubspot.reading import Reader, open_reader
from tests.receiver import reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.receiver import Received

MONDAY = datetime(2026, 11, 16, 9, 30, 0, 123000, tzinfo=UTC)
DECIDES = ("USER_DEFINED", 41, "Decision maker")
SIGNS = ("USER_DEFINED", 43, "Budget holder")


@pytest_asyncio.fixture
async def reader() -> AsyncIterator[Reader]:
    async with open_reader() as reader:
        yield reader


def days(count: float) -> datetime:
    return MONDAY + timedelta(days=count)


async def test_owners_who_left_are_told_as_not_active(reader: Reader) -> None:
    common = {"type": "PERSON", "userId": 9, "createdAt": "2024-01-01T00:00:00Z"}
    reader.server.crm.owners = {
        "71": {
            "id": "71",
            "email": "ada@example.com",
            "firstName": "Ada",
            "lastName": "Berg",
            "updatedAt": "2026-11-16T09:30:00.123Z",
            "archived": False,
            "teams": [
                {"id": "1", "name": "EMEA", "primary": False},
                {"id": "2", "name": "Enterprise", "primary": True},
            ],
            **common,
        },
        "72": {
            "id": "72",
            "email": "left@example.com",
            "firstName": "",
            "lastName": "",
            "updatedAt": "2026-11-16T09:30:00.123Z",
            "archived": True,
            **common,
        },
    }
    told = await reader.read("owners")
    assert told.told == [
        Owner(
            id="71", modified_at=MONDAY, name="Ada Berg", email="ada@example.com", team="Enterprise"
        ),
        Owner(
            id="72",
            modified_at=MONDAY,
            name="left@example.com",
            email="left@example.com",
            active=False,
        ),
    ]
    assert told.faults == []


async def test_owners_of_large_accounts_come_in_pages(reader: Reader) -> None:
    for id in range(1, 251):
        owner = {"id": str(id), "updatedAt": "2026-11-16T09:30:00Z", "archived": id > 120}
        reader.server.crm.owners[str(id)] = owner
    told = await reader.read("owners")
    assert len(told.pages) == 4
    assert [record.id for record in told.told] == [str(id) for id in range(1, 251)]
    assert sum(record.active for record in told.records.values()) == 120


async def test_stages_say_how_deals_end_in_them(reader: Reader) -> None:
    def stage(id: str, label: str, position: int, **metadata: str) -> dict[str, object]:
        return {
            "id": id,
            "label": label,
            "displayOrder": position,
            "metadata": metadata,
            "archived": False,
            "updatedAt": "2026-11-17T00:00:00Z",
        }

    reader.server.crm.pipelines["default"] = {
        "id": "default",
        "label": "New business",
        "displayOrder": 1,
        "updatedAt": "2026-11-16T09:30:00.123Z",
        "archived": False,
        "stages": [
            stage("s1", "Discovery", 0, isClosed="false", probability="0.2"),
            stage("s2", "Won", 1, isClosed="true", probability="1.0"),
            stage("s3", "Lost", 2, isClosed="true", probability="0.0"),
            stage("s4", "Odd", 3, isClosed="false", probability="often"),
        ],
    }
    told = await reader.read("pipelines")
    assert told.told == [
        Pipeline(
            id="default",
            modified_at=MONDAY,
            name="New business",
            position=1,
            stages=(
                Stage(id="s1", name="Discovery", position=0, probability=0.2),
                Stage(id="s2", name="Won", position=1, probability=1, outcome="won"),
                Stage(id="s3", name="Lost", position=2, probability=0, outcome="lost"),
                Stage(id="s4", name="Odd", position=3),
            ),
        )
    ]
    assert (told.faults, told.remarks) == ([], ["stages s4: the probability is 'often'"])


async def test_a_company_becomes_an_account(reader: Reader) -> None:
    company = reader.server.crm.create(
        "companies",
        MONDAY,
        name="Birch & Sons",
        domain="birch.example",
        industry="RETAIL",
        numberofemployees=250,
        hubspot_owner_id=71,
        tier="Enterprise",
    )
    told = await reader.read("accounts", segment="tier")
    assert told.told == [
        Account(
            id=company.id,
            modified_at=MONDAY,
            name="Birch & Sons",
            domain="birch.example",
            industry="RETAIL",
            segment="Enterprise",
            employees=250,
            owner="71",
            url=f"https://app-eu1.hubspot.com/contacts/4711/record/0-2/{company.id}",
            created_at=MONDAY,
        )
    ]


async def test_a_contact_belongs_to_its_primary_company(reader: Reader) -> None:
    contact = reader.server.crm.create(
        "contacts",
        MONDAY,
        firstname="Ines",
        lastname="Gray",
        email="ines@birch.example",
        jobtitle="CFO",
        associatedcompanyid=901,
        hubspot_owner_id=71,
    )
    told = await reader.read("contacts")
    assert told.told == [
        Contact(
            id=contact.id,
            modified_at=MONDAY,
            name="Ines Gray",
            email="ines@birch.example",
            title="CFO",
            account="901",
            owner="71",
            url=f"https://app-eu1.hubspot.com/contacts/4711/record/0-1/{contact.id}",
            created_at=MONDAY,
        )
    ]


def a_deal(reader: Reader) -> Thing:
    """Opened on Monday, moved, cut and pushed since."""
    crm = reader.server.crm
    deal = crm.create(
        "deals",
        MONDAY,
        dealname="Birch renewal",
        pipeline="default",
        dealstage="s1",
        amount=1000,
        # The last second of the 30th where the account is; the 1st in UTC.
        closedate="2026-12-01T04:59:59.000Z",
        hubspot_owner_id=71,
    )
    crm.update(deal, days(1), dealstage="s2", hs_manual_forecast_category="BEST_CASE")
    crm.update(deal, days(2), amount="812.5", hs_next_step="<p>Call <b>Ines</b></p>")
    crm.update(deal, days(3), closedate="2027-01-15", closed_lost_reason="", hubspot_owner_id=72)
    return deal


async def test_a_deal_is_told_with_its_past_and_its_people(reader: Reader) -> None:
    crm, deal = reader.server.crm, a_deal(reader)
    subsidiary, owner = crm.create("companies"), crm.create("companies")
    ines, omar = crm.create("contacts"), crm.create("contacts")
    crm.stand_still(days(4))
    crm.link(deal, subsidiary)
    crm.link(deal, owner, PRIMARY, ("HUBSPOT_DEFINED", 341, None))
    crm.link(deal, ines, ("HUBSPOT_DEFINED", 3, None), SIGNS, DECIDES)
    crm.link(deal, omar)
    told = await reader.read("deals")
    expected = Deal(
        id=deal.id,
        modified_at=days(4),
        name="Birch renewal",
        pipeline="default",
        stage="s2",
        amount=Decimal("812.50"),
        currency="USD",
        close_date=date(2027, 1, 15),
        owner="72",
        account=owner.id,
        forecast_category="best_case",
        next_step="Call Ines",
        url=f"https://app-eu1.hubspot.com/contacts/4711/record/0-3/{deal.id}",
        created_at=MONDAY,
        contacts=(
            DealContact(contact=ines.id, role="Budget holder, Decision maker"),
            DealContact(contact=omar.id),
        ),
        changes=(
            Change(field="stage", at=MONDAY, value="s1"),
            Change(field="stage", at=days(1), value="s2"),
            Change(field="amount", at=MONDAY, value="1000.00"),
            Change(field="amount", at=days(2), value="812.50"),
            Change(field="close_date", at=MONDAY, value="2026-11-30"),
            Change(field="close_date", at=days(3), value="2027-01-15"),
            Change(field="owner", at=MONDAY, value="71"),
            Change(field="owner", at=days(3), value="72"),
            Change(field="forecast_category", at=days(1), value="best_case"),
        ),
    )
    assert told.told == [expected]
    assert (await reader.read("deals", MONDAY)).told == [expected]


async def test_a_field_that_was_emptied_is_so_in_its_past(reader: Reader) -> None:
    deal = reader.server.crm.create("deals", MONDAY, amount=1000)
    reader.server.crm.update(deal, days(1), amount=None)
    (told,) = (await reader.read("deals")).told
    assert told == Deal(
        id=deal.id,
        modified_at=days(1),
        currency="USD",
        url=f"https://app-eu1.hubspot.com/contacts/4711/record/0-3/{deal.id}",
        created_at=MONDAY,
        changes=(
            Change(field="amount", at=MONDAY, value="1000.00"),
            Change(field="amount", at=days(1)),
        ),
    )


async def test_all_associations_are_read_however_many(reader: Reader) -> None:
    crm = reader.server.crm
    reader.server.api.links_per_page = 3
    deal = crm.create("deals", MONDAY)
    contacts = [crm.create("contacts", MONDAY) for _ in range(8)]
    for contact in contacts:
        crm.link(deal, contact)
    (told,) = (await reader.read("deals")).told
    assert [each.contact for each in told.contacts] == [contact.id for contact in contacts]


async def test_engagements_become_activities(reader: Reader) -> None:
    crm = reader.server.crm
    deal, company, contact = (crm.create(kind) for kind in ("deals", "companies", "contacts"))
    call = crm.create(
        "calls",
        MONDAY,
        hs_timestamp=days(-1),
        hs_call_title="Pricing",
        hs_call_body="<div>They want 5&nbsp;% off.</div><style>p {}</style><ul><li>CFO</li></ul>",
        hs_call_direction="OUTBOUND",
        hs_call_disposition="f240bbac-87c9-4f6e-bf70-924b57d47db7",
        hubspot_owner_id=71,
    )
    email = crm.create(
        "emails",
        MONDAY,
        hs_timestamp="1763285400123",
        hs_email_subject="Re: offer",
        hs_email_text="a < b",
        hs_email_direction="INCOMING_EMAIL",
        hs_email_status="SENT",
    )
    meeting = crm.create(
        "meetings",
        MONDAY,
        hs_timestamp=days(-1),
        hs_meeting_start_time=days(2),
        hs_meeting_title="Kick-off",
        hs_meeting_outcome="NO_SHOW",
    )
    note = crm.create("notes", MONDAY, hs_timestamp=MONDAY, hs_note_body="Budget frozen")
    task = crm.create(
        "tasks",
        MONDAY,
        hs_timestamp=days(9),
        hs_task_subject="Send the contract",
        hs_task_status="NOT_STARTED",
    )
    for other in (deal, company, contact):
        crm.link(call, other)
    told = await reader.read("activities")
    assert told.told == [
        Activity(
            id=f"email-{email.id}",
            modified_at=MONDAY,
            type="email",
            at=datetime(2025, 11, 16, 9, 30, 0, 123000, tzinfo=UTC),
            subject="Re: offer",
            body="a < b",
            direction="in",
            outcome="sent",
        ),
        Activity(
            id=f"call-{call.id}",
            modified_at=MONDAY,
            type="call",
            at=days(-1),
            subject="Pricing",
            body="They want 5 % off.\nCFO",
            direction="out",
            outcome="connected",
            owner="71",
            account=company.id,
            deals=(deal.id,),
            contacts=(contact.id,),
        ),
        Activity(
            id=f"meeting-{meeting.id}",
            modified_at=MONDAY,
            type="meeting",
            at=days(2),
            subject="Kick-off",
            outcome="no_show",
        ),
        Activity(
            id=f"note-{note.id}", modified_at=MONDAY, type="note", at=MONDAY, body="Budget frozen"
        ),
        Activity(
            id=f"task-{task.id}",
            modified_at=MONDAY,
            type="task",
            at=days(9),
            subject="Send the contract",
            outcome="not_started",
        ),
    ]
    assert told.faults == told.remarks == []


async def test_a_value_that_cannot_be_read_is_told_and_its_record_stays(reader: Reader) -> None:
    crm = reader.server.crm
    deal = crm.create(
        "deals", MONDAY, amount="a lot", closedate="next spring", dealname="Odd\x00 one \ud83d"
    )
    call = crm.create("calls", MONDAY, hs_call_direction="SIDEWAYS", hs_call_title="x" * 1200)
    company = crm.create("companies", MONDAY, numberofemployees="9e99")
    told = [await reader.read(kind) for kind in ("deals", "activities", "accounts")]
    assert [each.faults for each in told] == [[], [], []]
    assert [remark for each in told for remark in each.remarks] == [
        f"deals {deal.id}: amount is 'a lot', which cannot be read",
        f"deals {deal.id}: closedate is 'next spring', which cannot be read",
        f"deals {deal.id}: amount was 'a lot', which cannot be read",
        f"deals {deal.id}: closedate was 'next spring', which cannot be read",
        f"calls {call.id}: it says no time, so the time of its making stands for it",
        f"calls {call.id}: hs_call_title has 1200 characters and was cut to 1000",
        f"calls {call.id}: hs_call_direction is 'SIDEWAYS', which is not known here",
        f"companies {company.id}: numberofemployees is '9e99', which cannot be read",
    ]
    assert told[0].records[deal.id].name == "Odd one ?"
    assert told[0].records[deal.id].amount is None
    assert told[1].records[f"call-{call.id}"].at == MONDAY
    assert told[2].records[company.id].employees is None


async def test_links_can_do_without_the_account_where_it_is_not_told(reader: Reader) -> None:
    reader.server.crm.portal["uiDomain"] = "javascript:alert(1)//"
    reader.server.crm.portal["timeZone"] = "Middle/Earth"
    company = reader.server.crm.create("companies", MONDAY)
    told = await reader.read("accounts")
    url = f"https://app.hubspot.com/contacts/4711/record/0-2/{company.id}"
    assert told.records[company.id].url == url


async def test_a_token_of_another_account_is_refused(reader: Reader) -> None:
    reader.server.crm.create("companies")
    assert len((await reader.read("accounts", portal="4711")).told) == 1
    reader.server.requests.clear()
    for kind in reader.hubspot().kinds:
        with pytest.raises(SourceRefused, match="belongs to HubSpot account 4711, not to 815"):
            await reader.read(kind, portal="815")
    assert reader.server.paths().keys() == {"/account-info/v3/details"}


async def test_an_address_that_names_no_host_is_refused(reader: Reader) -> None:
    with pytest.raises(SourceRefused, match="base_url: this is not the name of a host"):
        await reader.read("owners", base_url="https://a..b")


async def test_a_token_goes_only_where_its_secret_may(reader: Reader) -> None:
    with pytest.raises(SecretNotAllowed, match="allowed_hosts"):
        reader.hubspot(hosts=frozenset({"api.hubapi.com"}))
    reader.hubspot(hosts=frozenset({f"127.0.0.1:{reader.server.port}"}))
    assert reader.server.requests == []


async def test_it_tells_what_it_has_and_no_more(reader: Reader) -> None:
    hubspot = reader.hubspot()
    kinds = ("owners", "pipelines", "accounts", "contacts", "deals", "activities")
    assert hubspot.kinds == kinds
    assert [kind for kind in kinds if hubspot.lists_all(kind, None)] == list(kinds)
    assert [kind for kind in kinds if hubspot.lists_all(kind, MONDAY)] == ["owners", "pipelines"]
    for kind in ("quotas", "conversations"):
        with pytest.raises(SourceRejected, match=kind):
            await hubspot.page(kind, None, None)
    with pytest.raises(SourceRejected, match="no page"):
        await hubspot.page("deals", None, "page 2, please")


async def test_a_record_that_cannot_be_told_is_a_fault(reader: Reader) -> None:
    """Then nobody may take it for gone, either."""
    kept, timeless = (reader.server.crm.create("companies", MONDAY) for _ in range(2))

    def mangled(_: Received, answer: bytes) -> bytes | None:
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
        if "results" not in told:
            return None
        told["results"][1] |= {"properties": {"hs_lastmodifieddate": "noon"}, "updatedAt": None}
        told["results"].append({"properties": {"name": "Nobody"}})
        return reply(200, json.dumps(told).encode())

    reader.server.trouble = mangled
    told = await reader.read("accounts")
    assert [each.id for each in told.told] == [kept.id]
    assert told.faults == [
        "companies: 1 without an id",
        f"companies {timeless.id}: it does not say when it was changed, and is left out",
    ]
    assert told.remarks == [
        f"companies {timeless.id}: hs_lastmodifieddate is 'noon', which cannot be read"
    ]
