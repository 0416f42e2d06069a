"""What is wrong with open deals, counted by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core.crm import Change, ChangedField
from tests.integration.sales import (
    Sales,
    at,
    contact,
    day,
    deal,
    people,
    stages,
    talk,
    touch,
)

if TYPE_CHECKING:
    from core.crm import Deal


def history(field: ChangedField, *values: tuple[float, Any]) -> tuple[Change, ...]:
    """Each value, and how many days ago the field got it."""
    return tuple(
        Change(field=field, at=at(ago), value=None if value is None else str(value))
        for ago, value in values
    )


async def test_stale_deals_are_those_nobody_touched(sales: Sales) -> None:
    await sales.tell(
        deal("called today"), touch("called today", 0),
        deal("on the edge"), touch("on the edge", 14), touch("on the edge", 30),
        deal("within"), touch("within", 13),
        deal("talked to"), touch("talked to", 40), talk("v1", 13, "talked to"),
        deal("planned"), touch("planned", 20), touch("planned", -3), touch("planned", -9),
        deal("never", created_at=at(25)),
        deal("young", created_at=at(3)),
        deal("over", stage="lost"), touch("over", 40),
    )  # fmt: skip
    found = (await sales.ask("stale_deals"))["deals"]
    assert [(each["name"], each["quiet_days"], each["next_activity_on"]) for each in found] == [
        ("Deal never", 25, None),
        ("Deal planned", 20, day(-3).isoformat()),
        ("Deal on the edge", 14, None),
    ]
    assert found[0]["days_since_activity"] is None
    assert await sales.found("stale_deals", days=20) == ["never", "planned"]
    assert await sales.found("stale_deals", days=21, owner="ada") == ["never"]


async def test_slipped_deals_are_overdue_and_open(sales: Sales) -> None:
    await sales.tell(
        deal("today", close_date=day(0)),
        deal("yesterday", close_date=day(1)),
        deal("long ago", close_date=day(30)),
        deal("undated", close_date=None),
        deal("won", stage="won", close_date=day(30)),
    )
    found = (await sales.ask("slipped_deals"))["deals"]
    assert [(each["deal_id"], each["days_overdue"]) for each in found] == [
        ("crm:long ago", 30),
        ("crm:yesterday", 1),
    ]
    assert await sales.found("slipped_deals", days=2) == ["long ago"]


async def test_gaps_lie_between_touches_and_at_both_ends(sales: Sales) -> None:
    await sales.tell(
        # Created 50 days ago: silent for 10, 22 and 18 days.
        deal("between"), touch("between", 40), touch("between", 18), touch("between", 18),
        deal("now"), touch("now", 45), touch("now", 30),
        deal("at first"), touch("at first", 20), touch("at first", 10), touch("at first", -5),
        deal("steady"), *(touch("steady", ago) for ago in (40, 25, 10)),
    )  # fmt: skip
    found = (await sales.ask("activity_gaps"))["deals"]
    told = [
        (each["deal_id"], each["longest_gap_days"], each["gap_began_on"], each["gap_ended_on"],
         each["gaps"], each["activities"])
        for each in found
    ]  # fmt: skip
    assert told == [
        ("crm:at first", 30, day(50).isoformat(), day(20).isoformat(), 1, 2),
        ("crm:now", 30, day(30).isoformat(), None, 1, 2),
        ("crm:between", 22, day(40).isoformat(), day(18).isoformat(), 1, 2),
    ]
    assert await sales.found("activity_gaps", min_gap=15) == [
        "at first",
        "now",
        "between",
        "steady",
    ]
    # Of a silence that began before, only what lies in the days looked at counts.
    assert await sales.found("activity_gaps", days=25) == ["now"]


async def test_single_threaded_deals_are_late_or_large(sales: Sales) -> None:
    known = [contact(f"{deal}-{role}") for deal in ("late", "both", "known") for role in "ab"]
    await sales.tell(
        *known,
        deal("late", 100, stage="offer", contacts=people("late", "a")),
        deal("known", 100, stage="offer", contacts=people("known", "a", "b")),
        deal("early", 100, stage="demo"),
        deal("small", 90),
        # The largest quarter of six in EUR begins at 100 + 0.75 of the way: 100.
        deal("both", 900, stage="offer"),
        deal("large", 500),
        deal("talks", 10, currency="USD", pipeline="renewals", stage="talks"),
        deal("due", 5, currency="USD", pipeline="renewals", stage="due"),
    )
    found = (await sales.ask("single_threaded_deals"))["deals"]
    assert [(each["deal_id"], each["contacts"], each["why"]) for each in found] == [
        ("crm:both", 0, ["late_stage", "large"]),
        ("crm:large", 0, ["large"]),
        ("crm:late", 1, ["late_stage"]),
        # Without probabilities the later half of the stages is late; 10 of 5 and 10 is large.
        ("crm:talks", 0, ["late_stage", "large"]),
    ]
    assert await sales.found("single_threaded_deals", max_contacts=0) == ["both", "large", "talks"]
    assert await sales.found("single_threaded_deals", max_contacts=2, large_amount=10_000) == [
        "both",
        "known",
        "late",
        "talks",
    ]


async def test_pushes_are_moves_to_a_later_day(sales: Sales) -> None:
    def dated(id: str, *dates: tuple[float, Any], **fields: Any) -> Deal:
        return deal(id, changes=history("close_date", *dates), **fields)

    await sales.tell(
        dated("pushed", (40, day(20)), (30, day(10)), (20, day(15)), (10, day(5)), (5, day(-30))),
        dated("twice", (40, day(20)), (30, day(10)), (8, day(-30))),
        # Setting it is no push, and neither is clearing it.
        dated("set", (40, None), (35, day(10)), (30, None), (10, day(-30))),
        dated("won", (40, day(9)), (30, day(8)), (20, day(7)), (10, day(6)), stage="won"),
    )
    pushed = await sales.one("close_date_pushes")
    assert (pushed["deal_id"], pushed["pushes"], pushed["days_pushed"]) == ("crm:pushed", 3, 55)
    assert pushed["first_close_date"] == day(20).isoformat()
    assert pushed["last_pushed_on"] == day(5).isoformat()
    assert await sales.found("close_date_pushes", min_pushes=1) == ["pushed", "twice"]
    # Of the last 9 days, today included.
    recent = (await sales.ask("close_date_pushes", min_pushes=1, days=9))["deals"]
    assert [(each["deal_id"], each["pushes"]) for each in recent] == [
        ("crm:twice", 1),
        ("crm:pushed", 1),
    ]
    assert await sales.found("close_date_pushes", min_pushes=1, days=8) == ["pushed"]


async def test_amounts_are_compared_with_what_they_were(sales: Sales) -> None:
    def valued(id: str, amount: float, *amounts: tuple[float, Any], **fields: Any) -> Deal:
        return deal(id, amount, changes=history("amount", *amounts), **fields)

    await sales.tell(
        valued("cut", 700, (90, 500), (80, 1000), (30, 900), (10, 700)),
        valued("raised", 300, (90, 200), (5, 300)),
        valued("back", 100, (90, 100), (20, 50), (10, 100)),
        valued("set", 50, (10, 40), (5, 50)),
        valued("from zero", 60, (90, 0), (5, 60)),
        valued("long ago", 10, (90, 100), (70, 10)),
        valued("lost", 10, (90, 100), (10, 10), stage="lost"),
    )
    found = (await sales.ask("amount_changes"))["deals"]
    told = [
        (each["deal_id"], each["amount_before"], each["amount_now"], each["change"],
         each["change_percent"], each["changes"])
        for each in found
    ]  # fmt: skip
    assert told == [
        ("crm:cut", 1000, 700, -300, -30, 2),
        ("crm:raised", 200, 300, 100, 50, 1),
        ("crm:from zero", 0, 60, 60, None, 1),
        ("crm:set", 40, 50, 10, 25, 2),
    ]
    assert found[0]["last_changed_on"] == day(10).isoformat()
    assert await sales.found("amount_changes", direction="cut", min_percent=30) == ["cut"]
    assert await sales.found("amount_changes", direction="cut", min_percent=30.1) == []
    assert await sales.found("amount_changes", direction="raise", min_percent=50) == [
        "raised",
        "from zero",
    ]
    # On day 71 the amount of `long ago` had not been cut yet.
    assert "crm:long ago" in [
        each["deal_id"] for each in (await sales.ask("amount_changes", days=71))["deals"]
    ]


async def test_missing_fields_are_named(sales: Sales) -> None:
    await sales.tell(
        deal("whole", contacts=people("whole", "a")),
        contact("whole-a"),
        deal("vague", 300, next_step="  "),
        deal("bare", None, next_step=None, close_date=None, owner=None, account=None),
        deal("free", 0),
        deal("won", None, stage="won", next_step=None),
    )
    found = (await sales.ask("missing_fields"))["deals"]
    assert [(each["deal_id"], each["missing"]) for each in found] == [
        ("crm:bare", ["amount", "close_date", "next_step"]),
        ("crm:vague", ["next_step"]),
        ("crm:free", ["amount"]),
    ]
    assert await sales.found("missing_fields", fields=["owner", "account"]) == ["bare"]
    assert await sales.found("missing_fields", fields=["contacts"], min_amount=1) == ["vague"]
    assert len(await sales.found("missing_fields", fields=["forecast_category"])) == 4


async def passes(sales: Sales, *days: float) -> None:
    """Deals that stayed in `new` for so many days, and were lost."""
    await sales.tell(
        *(
            deal(f"passed {n}", stage="lost", changes=stages(("new", 20 + stay), ("lost", 20)))
            for n, stay in enumerate(days)
        )
    )


RISKS: dict[str, tuple[int, dict[str, Any], str]] = {
    "stale": (25, {}, "no activity for 16 days"),
    "slipped": (25, {"close_date": day(3)}, "close date passed 3 days ago"),
    "stuck": (
        15,
        {"changes": stages(("new", 21))},
        "21 days in its stage, where deals usually stay 10.0",
    ),
    "pushed": (
        15,
        {
            "changes": history(
                "close_date", (40, day(20)), (30, day(10)), (20, day(5)), (10, day(-30))
            )
        },
        "close date moved later 3 times",
    ),
    "amount_cut": (
        15,
        {"changes": history("amount", (80, 1500), (9, 1000))},
        "amount fell by 33 % within 60 days",
    ),
    "single_threaded": (15, {"stage": "offer"}, "late or large, with no contact"),
    "no_next_step": (10, {"next_step": None}, "no next step"),
    "missing_fields": (
        10,
        {"amount": None, "close_date": None},
        "no amount and no close date",
    ),
}


@pytest.mark.parametrize("kind", RISKS)
async def test_each_risk_is_counted_alone(sales: Sales, kind: str) -> None:
    points, fields, detail = RISKS[kind]
    await passes(sales, 8, 9, 10, 11, 12)
    # Much larger ones, so that this one is not large; they are not looked at.
    await sales.tell(*(deal(f"huge {n}", 90_000, owner="bo", stage="demo") for n in range(4)))
    await sales.tell(deal("well"), deal("ill", **fields), touch("well", 1))
    await sales.tell(touch("ill", 16 if kind == "stale" else 1))
    risky = await sales.one("at_risk_deals", min_score=1, owner="ada")
    assert (risky["deal_id"], risky["score"]) == ("crm:ill", points)
    assert risky["reasons"] == [{"kind": kind, "points": points, "detail": detail}]
    assert await sales.found("at_risk_deals", min_score=points + 1, owner="ada") == []
    assert await sales.found("at_risk_deals", min_score=1, owner="ada", kinds=[kind]) == ["ill"]


async def test_risks_add_up_to_a_hundred_at_most(sales: Sales) -> None:
    await passes(sales, 1, 1, 1, 1, 1)
    everything = (
        *stages(("new", 40)),
        *history("close_date", (40, day(20)), (30, day(10)), (20, day(5)), (10, day(3))),
        *history("amount", (50, 10_000), (9, 5000)),
    )
    await sales.tell(
        deal("lost cause", 5000, next_step=None, close_date=day(3), changes=everything),
        deal("late", 100, close_date=day(1)),
        deal("worse", 200, close_date=day(1)),
        touch("late", 1),
        touch("worse", 1),
    )
    found = (await sales.ask("at_risk_deals"))["deals"]
    assert [(each["deal_id"], each["score"]) for each in found] == [
        ("crm:lost cause", 100),
        ("crm:worse", 25),
        ("crm:late", 25),
    ]
    kinds = [reason["kind"] for reason in found[0]["reasons"]]
    assert kinds == ["slipped", "stale", "amount_cut", "pushed", "single_threaded", "stuck",
                     "no_next_step"]  # fmt: skip
    assert await sales.found("at_risk_deals", kinds=["stuck", "pushed"]) == ["lost cause"]


async def test_nothing_is_stuck_before_five_deals_have_passed(sales: Sales) -> None:
    await passes(sales, 1, 1, 1, 1)
    await sales.tell(deal("slow", changes=stages(("new", 45))), touch("slow", 1))
    assert await sales.found("at_risk_deals", min_score=1, kinds=["stuck"]) == []
    await passes(sales, 1, 1, 1, 1, 1)
    assert await sales.found("at_risk_deals", min_score=1, kinds=["stuck"]) == ["slow"]
