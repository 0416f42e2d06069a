"""The demo model's reviews, on requests as the three skills make them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dev.demo import deal_risk_review, pipeline_hygiene, weekly_recap
from llm.demo.view import Call, Offered, Said, View

LOOK = Offered("crm_get_deal", "Look at a deal.", {})
FIGURES = [
    {"label": "Open deals", "value": "9", "change": None},
    {"label": "Deals to clean up", "value": "2", "change": None},
    {"label": "Open pipeline", "value": "EUR 120k", "change": None},
    {"label": "Open pipeline", "value": "USD 5k", "change": None},
    {"label": "Deals won", "value": "3", "change": None},
    {"label": "Deals at risk", "value": "2", "change": None},
]
HISTORY = {
    "deal": {"deal_id": "crm:1"},
    "contacts": [
        {"name": "Eve Reed", "role": "User"},
        {"name": "Max Hill", "role": "Economic buyer"},
    ],
    "changes": [
        {"field": "close_date", "on": "2026-11-02", "from": "2026-10-01", "to": "2026-11-01"}
    ],
    "activities": [{"at": "2026-10-19T08:00:00Z", "kind": "call", "subject": "Offer call"}],
    "conversations": [],
}
OPENINGS = {
    "problems": ("deals", "Review the hygiene of these open deals.", pipeline_hygiene.answer),
    "risks": ("deals", "Review the risks of these open deals.", deal_risk_review.answer),
    "events": ("events", "Write the recap of the week from Monday.", weekly_recap.answer),
}
FIRST = {"problems": "slipped", "risks": "stuck", "events": "slipped"}


def deals(kinds: str, many: int = 2) -> list[dict[str, Any]]:
    return [
        {
            "deal_id": f"crm:{number}",
            "name": f"Deal {number}",
            "amount": 120_000 if number == 1 else None,
            "currency": "EUR",
            "owner": "Ada",
            "severity": "high",
            kinds: [FIRST[kinds]],
        }
        for number in range(1, many + 1)
    ]


def view(kinds: str, *more: Said, many: int = 2, **other: Any) -> View:
    tag, opening, _ = OPENINGS[kinds]
    parts = (
        f"{opening} Today is Friday.",
        f"<{tag}>\n{json.dumps(deals(kinds, many))}\n</{tag}>",
        f"<figures>\n{json.dumps(FIGURES)}\n</figures>",
    )
    asked = Said("user", "\n\n".join(parts))
    return View(wire="messages", model="m", system="", said=(asked, *more), **other)


def looked() -> tuple[Said, ...]:
    calls = (
        Call("crm_get_deal", {"deal_id": "crm:1"}, "a"),
        Call("crm_get_deal", {"deal_id": "crm:2"}, "b"),
    )
    return (
        Said("assistant", calls=calls),
        Said("tool", json.dumps(HISTORY), answers="a"),
        Said("tool", "not_found: gone", answers="b", failed=True),
    )


@pytest.mark.parametrize("kinds", OPENINGS)
def test_it_looks_at_the_worst_deals_before_it_judges(kinds: str) -> None:
    reply = OPENINGS[kinds][2](view(kinds, many=9, tools=(LOOK,)))
    assert reply is not None
    assert [call.arguments["deal_id"] for call in reply.calls] == [f"crm:{n}" for n in range(1, 5)]


def test_it_looks_one_by_one_where_the_wire_has_no_room_for_more() -> None:
    first = Said("assistant", calls=(Call("crm_get_deal", {"deal_id": "crm:1"}, "a"),))
    told = Said("tool", json.dumps(HISTORY), answers="a")
    reply = pipeline_hygiene.answer(
        view("problems", first, told, tools=(LOOK,), parallel=False, many=3)
    )
    assert reply is not None
    assert [call.arguments for call in reply.calls] == [{"deal_id": "crm:2"}]


@pytest.mark.parametrize("kinds", OPENINGS)
def test_it_judges_each_deal_once_from_what_the_tools_told(kinds: str) -> None:
    reply = OPENINGS[kinds][2](view(kinds, *looked(), tools=(LOOK,)))
    assert reply is not None
    answer = json.loads(reply.text)
    assert answer["summary"].startswith("[demo model]")
    assert [each["deal_id"] for each in answer["deals"]] == ["crm:1", "crm:2"]
    first, second = answer["deals"]
    assert "Offer call” on 2026-10-19" in first["comment"]
    assert "Max Hill" in first["action"]
    assert (second["comment"], second["action"]) == ("", "")


def test_the_summary_holds_the_figures_and_the_first_deals() -> None:
    reply = pipeline_hygiene.answer(view("problems", *looked()))
    assert reply is not None
    summary = json.loads(reply.text)["summary"]
    assert "2 of 9 open deals" in summary
    assert "of EUR 120k and USD 5k." in summary
    assert "Deal 1 (EUR 120k, Ada, slipped); Deal 2 (Ada, slipped)" in summary


def test_signs_of_risk_are_read_from_the_conversation() -> None:
    asked = (
        "Find the signs of risk for the deal in one conversation with a buyer.\n\nIt is a call."
        "\n\n<conversation>\nEve: Our budget is frozen.\n</conversation>\n\nThese count."
    )
    reply = deal_risk_review.answer(View("messages", "m", "", (Said("user", asked),), schema={}))
    assert reply is not None
    (signal,) = json.loads(reply.text)["signals"]
    assert (signal["kind"], signal["quote"]) == ("budget", "Our budget is frozen.")


@pytest.mark.parametrize("kinds", OPENINGS)
def test_anything_else_is_left_to_the_plain_demo_model(kinds: str) -> None:
    other = View("messages", "m", "", (Said("user", "What is the weather?"),))
    assert OPENINGS[kinds][2](other) is None
