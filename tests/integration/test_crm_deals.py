"""Lists of deals, what they leave out, and one deal with its past."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from core.crm import Activity, Change, Deal
from core.errors import InvalidArguments, NotFound
from tests.integration.sales import (
    NOW,
    PEOPLE,
    Sales,
    at,
    contact,
    day,
    deal,
    open_sales,
    people,
    stages,
    talk,
    touch,
)

if TYPE_CHECKING:
    from store.pool import Pool


async def test_a_card_tells_what_is_known_of_a_deal(sales: Sales) -> None:
    known = deal("a", 1200.5, stage="demo", forecast_category="commit", url="https://crm/a",
                 changes=stages(("new", 40), ("demo", 9)))  # fmt: skip
    await sales.tell(known, touch("a", 3), touch("a", -2), talk("v", 5, "a"))
    answer = await sales.ask("open_deals")
    assert answer == {
        "as_of": day(0).isoformat(),
        "deals": [
            {
                "deal_id": "crm:a",
                "name": "Deal a",
                "url": "https://crm/a",
                "pipeline": "Sales",
                "stage": "Demo",
                "outcome": "open",
                "amount": 1200.5,
                "currency": "EUR",
                "close_date": day(-30).isoformat(),
                "owner_id": "crm:ada",
                "owner": "Ada",
                "account_id": "crm:initech",
                "account": "Initech",
                "forecast_category": "commit",
                "next_step": "Call them",
                "days_in_stage": 9,
                "last_activity_on": day(3).isoformat(),
                "days_since_activity": 3,
            }
        ],
        "total": 1,
        "more": False,
        "amounts": [{"currency": "EUR", "deals": 1, "amount": 1200.5}],
    }


async def test_a_card_says_null_for_what_nobody_knows(sales: Sales) -> None:
    await sales.tell(
        Deal(id="bare", modified_at=NOW, pipeline="gone", stage="gone", owner="x", account="y")
    )
    card = await sales.one("open_deals")
    assert (card["pipeline"], card["stage"]) == ("crm:gone", "crm:gone")
    nothing = ("amount", "currency", "close_date", "owner", "account", "next_step", "url",
               "forecast_category", "last_activity_on", "days_since_activity")  # fmt: skip
    assert {name: card[name] for name in nothing} == dict.fromkeys(nothing)


async def test_pages_follow_one_another_and_sums_are_of_all(sales: Sales) -> None:
    await sales.tell(
        *(deal(f"d{n}", n * 100) for n in range(1, 6)), deal("usd", 50, currency="USD")
    )
    first = await sales.ask("open_deals", limit=4)
    assert [each["deal_id"] for each in first["deals"]] == [f"crm:d{n}" for n in (5, 4, 3, 2)]
    assert (first["total"], first["more"]) == (6, True)
    last = await sales.ask("open_deals", limit=4, offset=4)
    assert [each["deal_id"] for each in last["deals"]] == ["crm:d1", "crm:usd"]
    assert (last["total"], last["more"]) == (6, False)
    assert (
        first["amounts"]
        == last["amounts"]
        == [
            {"currency": "EUR", "deals": 5, "amount": 1500},
            {"currency": "USD", "deals": 1, "amount": 50},
        ]
    )


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["big", "own", "renewal", "small"]),
        ({"pipeline": "renewals"}, ["renewal"]),
        ({"pipeline": "crm:sales"}, ["big", "own", "small"]),
        ({"owner": "BO@example.com"}, ["big"]),
        ({"owner": " bo "}, ["big"]),
        ({"segment": "enterprise"}, ["big", "own"]),
        ({"segment": "SMB"}, ["renewal", "small"]),
        ({"min_amount": 800}, ["big", "own", "renewal"]),
        ({"min_amount": 800.01}, ["big", "own"]),
        ({"stage": "Demo"}, ["own"]),
        ({"category": "COMMIT"}, ["small"]),
        ({"closing_until": day(-10)}, ["renewal"]),
        ({"closing_from": day(-10), "closing_until": day(-10)}, ["renewal"]),
        ({"closing_from": day(-11)}, ["big", "own", "small"]),
        ({"in_stage_since": day(4)}, ["own"]),
        ({"in_stage_since": day(3)}, []),
        ({"order_by": "close_date"}, ["renewal", "big", "own", "small"]),
        ({"order_by": "time_in_stage", "limit": 1}, ["small"]),
        ({"pipeline": "Sales", "owner": "Ada", "segment": "SMB"}, ["small"]),
    ],
)
async def test_filters_take_names_and_ids(
    sales: Sales, filters: dict[str, Any], found: list[str]
) -> None:
    await sales.tell(
        deal("big", 9000, owner="bo", account="hooli"),
        # Its own segment counts more than its account's.
        deal("own", 900, segment="Enterprise", stage="demo", changes=stages(("demo", 4))),
        deal("renewal", 800, pipeline="renewals", stage="due", close_date=day(-10)),
        deal("small", 700, forecast_category="Commit", changes=stages(("new", 30))),
    )
    assert await sales.found("open_deals", **filters) == found


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"pipeline": "Sale"}, "pipeline 'Sale'; did you mean 'Sales'? There are: Renewals, Sales"),
        ({"owner": "Zoe"}, r"there is no owner 'Zoe'. There are: Ada, Bo"),
        ({"segment": "entreprise"}, "did you mean 'Enterprise'?"),
        ({"stage": "Demos"}, "did you mean 'Demo'?"),
        ({"category": "commit"}, "there is no category 'commit'. There are: none"),
    ],
)
async def test_an_unknown_name_is_refused_with_those_there_are(
    sales: Sales, filters: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArguments) as caught:
        await sales.ask("open_deals", **filters)
    assert message in caught.value.message


async def test_the_day_is_the_workspaces(pool: Pool) -> None:
    """In these two places it is never the same day."""
    early, late = "Pacific/Kiritimati", "Pacific/Pago_Pago"
    days = {}
    for workspace, timezone in (("early", early), ("late", late)):
        sales = await open_sales(pool, workspace, timezone)
        days[workspace] = (NOW + timedelta(hours=14 if timezone == early else -11)).date()
        await sales.tell(*PEOPLE, deal("due", close_date=days[workspace], created_at=NOW),
                         deal("past", close_date=days[workspace] - timedelta(days=1)))  # fmt: skip
        assert (await sales.ask("open_deals"))["as_of"] == days[workspace].isoformat()
        slipped = await sales.one("slipped_deals")
        assert (slipped["deal_id"], slipped["days_overdue"]) == ("crm:past", 1)
        fresh = await sales.one("new_deals", period="last_1_days")
        assert fresh["created_on"] == days[workspace].isoformat()
    assert days["late"] < days["early"]


async def test_a_day_ends_at_the_workspaces_midnight(pool: Pool) -> None:
    sales = await open_sales(pool, "acme", "America/New_York")
    # 04:00 UTC is midnight there in summer.
    await sales.tell(
        *PEOPLE,
        deal("before", created_at="2026-07-02T03:59:59Z"),
        deal("after", created_at="2026-07-02T04:00:00Z"),
    )
    assert await sales.found("new_deals", since="2026-07-01", until="2026-07-01") == ["before"]
    assert await sales.found("new_deals", since="2026-07-02", until="2026-07-02") == ["after"]


async def test_new_won_and_lost_deals_are_those_of_the_period(sales: Sales) -> None:
    await sales.tell(
        deal("fresh", 10, created_at=at(6)),
        deal("older", 20, created_at=at(7)),
        deal("won", 30, stage="won", created_at=at(46), closed_at=at(6)),
        deal("won before", 40, stage="won", closed_at=at(7)),
        deal("lost", 50, stage="lost", created_at=at(22), closed_at=at(2), lost_reason="Price"),
        deal("lost now", 60, stage="lost", closed_at=at(0), currency="USD"),
    )
    assert await sales.found("new_deals") == ["fresh"]
    assert await sales.found("new_deals", period="last_8_days") == ["fresh", "older"]
    won = await sales.one("won_deals")
    assert (won["deal_id"], won["closed_on"], won["cycle_days"]) == (
        "crm:won",
        day(6).isoformat(),
        40,
    )
    lost = await sales.ask("lost_deals")
    assert [each["deal_id"] for each in lost["deals"]] == ["crm:lost now", "crm:lost"]
    assert [each["lost_reason"] for each in lost["deals"]] == [None, "Price"]
    assert lost["amounts"] == [
        {"currency": "EUR", "deals": 1, "amount": 50},
        {"currency": "USD", "deals": 1, "amount": 60},
    ]
    assert await sales.found("won_deals", since=day(7), until=day(7)) == ["won before"]


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("this_week", "2026-11-16", "2026-11-22"),
        ("last_week", "2026-11-09", "2026-11-15"),
        ("next_month", "2026-12-01", "2026-12-31"),
        ("last_month", "2026-10-01", "2026-10-31"),
        ("this_quarter", "2026-10-01", "2026-12-31"),
        ("next_quarter", "2027-01-01", "2027-03-31"),
        ("last_quarter", "2026-07-01", "2026-09-30"),
        ("last_year", "2025-01-01", "2025-12-31"),
        ("last_1_days", "2026-11-20", "2026-11-20"),
        ("last_30_days", "2026-10-22", "2026-11-20"),
        ("next_14_days", "2026-11-20", "2026-12-03"),
    ],
)
async def test_periods_are_days_of_the_calendar(
    pool: Pool, period: str, first: str, last: str
) -> None:
    await open_sales(pool, "acme", "UTC")
    # A Friday, in place of today.
    await pool.execute("""
        CREATE OR REPLACE VIEW crm_calendar AS
        SELECT id AS workspace_id, timezone, '2026-11-20'::date AS today FROM workspaces
    """)
    found = await pool.fetchrow(
        "SELECT first_day, last_day FROM crm_span('acme', $1, NULL, NULL)", period
    )
    assert found is not None
    assert [each.isoformat() for each in found] == [first, last]


@pytest.mark.parametrize(
    "arguments",
    [
        {"period": "lately"},
        {"period": "last_0_days"},
        {"until": "2026-01-01"},
        {"since": "2026-02-01", "until": "2026-01-01"},
        {"limit": 201},
        {"limit": 0},
        {"offset": -1},
        {"min_amount": -1},
        {"days": 7},
    ],
)
async def test_arguments_out_of_bounds_are_refused(sales: Sales, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        await sales.ask("new_deals", **arguments)


async def test_a_deal_is_told_with_its_people_and_its_past(sales: Sales) -> None:
    changes = (
        *stages(("new", 40), ("demo", 9)),
        Change(field="close_date", at=at(50), value=day(0).isoformat()),
        Change(field="close_date", at=at(20), value=day(-30).isoformat()),
        Change(field="owner", at=at(30), value="ada"),
    )
    await sales.tell(
        deal("a", stage="demo", contacts=people("a", "champion"), changes=changes, account="hooli"),
        contact("a-champion", title="CFO", email="cleo@hooli.example"),
        touch("a", 3, subject="Demo", body="x" * 900, direction="out"),
        touch("a", -2, subject="Planned"),
        talk("v", 5, "a", title="Kick-off", summary="They like it."),
    )
    told = await sales.ask("get_deal", deal_id="crm:a")
    assert told["deal"]["name"] == "Deal a"
    assert (told["deal"]["segment"], told["deal"]["probability"]) == ("Enterprise", 0.4)
    assert (told["deal"]["created_on"], told["deal"]["closed_on"]) == (day(50).isoformat(), None)
    assert told["contacts"] == [
        {
            "contact_id": "crm:a-champion",
            "name": "Cleo",
            "title": "CFO",
            "email": "cleo@hooli.example",
            "role": "champion",
        }
    ]
    assert [(each["on"], each["field"], each["from"], each["to"]) for each in told["changes"]] == [
        (day(9).isoformat(), "stage", "New", "Demo"),
        (day(20).isoformat(), "close_date", day(0).isoformat(), day(-30).isoformat()),
        (day(30).isoformat(), "owner", None, "Ada"),
        (day(40).isoformat(), "stage", None, "New"),
        (day(50).isoformat(), "close_date", None, day(0).isoformat()),
    ]
    assert [each["subject"] for each in told["activities"]] == ["Planned", "Demo"]
    assert (told["activities"][1]["owner"], len(told["activities"][1]["body"])) == ("Ada", 500)
    assert [each["title"] for each in told["conversations"]] == ["Kick-off"]
    least = await sales.ask("get_deal", deal_id="crm:a", limit=1)
    assert [len(least[name]) for name in ("changes", "activities", "conversations")] == [1, 1, 1]


async def test_an_unknown_deal_is_not_found_and_the_failure_says_how_to_find_it(
    sales: Sales,
) -> None:
    await sales.tell(deal("a"))
    await sales.tell(Deal(id="a", modified_at=NOW + timedelta(seconds=1), deleted=True))
    for gone in ("crm:a", "a", "crm:nothing"):
        with pytest.raises(NotFound, match="crm_search"):
            await sales.ask("get_deal", deal_id=gone)


async def test_what_is_deleted_is_not_told(sales: Sales) -> None:
    await sales.tell(deal("a", contacts=people("a", "user")), contact("a-user"), touch("a", 3))
    later = NOW + timedelta(seconds=1)
    await sales.tell(
        Activity(id="a-3", modified_at=later, deleted=True),
        contact("a-user", modified_at=later, deleted=True),
        PEOPLE[2].model_copy(update={"modified_at": later, "deleted": True}),
        PEOPLE[4].model_copy(update={"modified_at": later, "deleted": True}),
    )
    told = await sales.ask("get_deal", deal_id="crm:a")
    assert (told["contacts"], told["activities"]) == ([], [])
    assert (told["deal"]["owner"], told["deal"]["account"]) == (None, None)
    assert told["deal"]["last_activity_on"] is None
    with pytest.raises(InvalidArguments):
        await sales.ask("open_deals", owner="Ada")


async def test_the_longest_words_a_source_may_tell_fit_into_the_indexes(sales: Sales) -> None:
    # Four bytes each, and in no order that could be packed.
    signs = [chr(0x10000 + n * 7919 % 0x20000) for n in range(1000)]
    word, name = "".join(signs[:200]), "".join(signs)
    spaced = " ".join(chr(0x4E00 + n % 20_000) for n in range(100_000))
    await sales.tell(
        deal("a", name=name, segment=word, changes=stages((word, 1)), pipeline=word, stage=word),
        contact("c", name, email=name),
        talk("v", 1, "a", title=name, transcript=spaced, summary=spaced),
    )
    assert await sales.found("open_deals", segment=word) == ["a"]
    with pytest.raises(ValidationError):
        deal("b", segment=f"{word}x")
    with pytest.raises(ValidationError):
        stages((f"{word}x", 1))


async def test_since_alone_runs_to_the_end_of_the_period(sales: Sales) -> None:
    await sales.tell(deal("today", created_at=at(0)), deal("before", created_at=at(9)))
    assert await sales.found("new_deals", since=day(9)) == ["today", "before"]
