"""Conversations, people, accounts, and finding any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from core.crm import Account
from core.errors import NotFound
from tests.integration.sales import (
    NOW,
    Sales,
    at,
    contact,
    day,
    deal,
    people,
    talk,
    touch,
)

if TYPE_CHECKING:
    pass


async def heard(sales: Sales, **arguments: Any) -> list[str]:
    answer = await sales.ask("conversations", **arguments)
    return [each["conversation_id"].removeprefix("crm:") for each in answer["conversations"]]


async def test_conversations_are_told_latest_first(sales: Sales) -> None:
    await sales.tell(
        deal("a"),
        talk("old", 90, "a"),
        talk("kick-off", 9, "a", "gone", type="meeting", title="Kick-off", account="hooli",
             owner="ada", participants=("Ada", "Cleo"), transcript="Hello there.",
             summary="They like it.", url="https://crm/v"),
        talk("intro", 20, owner="bo"),
    )  # fmt: skip
    answer = await sales.ask("conversations", max_chars=5)
    assert (answer["since"], answer["until"]) == (day(89).isoformat(), day(0).isoformat())
    assert (answer["total"], answer["more"]) == (2, False)
    assert answer["conversations"][0] == {
        "conversation_id": "crm:kick-off",
        "kind": "meeting",
        "title": "Kick-off",
        "at": at(9).isoformat(),
        "participants": ["Ada", "Cleo"],
        "owner_id": "crm:ada",
        "owner": "Ada",
        "account_id": "crm:hooli",
        "account": "Hooli",
        "url": "https://crm/v",
        "deals": [{"deal_id": "crm:a", "name": "Deal a", "outcome": "open"}],
        "summary": "They like it.",
        "transcript": "Hello",
        "transcript_chars": 12,
    }
    assert await heard(sales) == ["kick-off", "intro"]
    assert await heard(sales, period="last_91_days", deal_id="crm:a") == ["kick-off", "old"]
    assert await heard(sales, account_id="crm:hooli") == ["kick-off"]
    assert await heard(sales, owner="bo") == ["intro"]
    assert await heard(sales, since=day(20), until=day(10)) == ["intro"]
    assert await heard(sales, limit=1, offset=1) == ["intro"]


async def test_a_page_of_conversations_ends_where_it_grows_too_large(sales: Sales) -> None:
    # 199,998 bytes each: five of them, with what else is told, do not fit in a million.
    await sales.tell(*(talk(f"v{n}", n, transcript="é" * 99_999) for n in range(1, 8)))
    first = await sales.ask("conversations", max_chars=100_000)
    assert [each["conversation_id"] for each in first["conversations"]] == [
        f"crm:v{n}" for n in range(1, 5)
    ]
    assert (first["total"], first["more"]) == (7, True)
    rest = await heard(sales, max_chars=100_000, offset=4)
    assert rest == ["v5", "v6", "v7"]
    assert len(await heard(sales, max_chars=0)) == 7


async def mentioned(sales: Sales, term: str, **arguments: Any) -> list[tuple[str, int]]:
    answer = await sales.ask("mentions", term=term, **arguments)
    return [
        (each["conversation_id"].removeprefix("crm:"), each["hits"]) for each in answer["mentions"]
    ]


async def test_mentions_are_found_with_the_words_around(sales: Sales) -> None:
    said = "x " * 200 + "Well. The BUDGET\nis frozen until May, " + "y " * 200 + "budgets."
    await sales.tell(
        deal("a"),
        talk("call", 3, "a", title="Call", transcript=said, account="hooli"),
        talk("other", 4, transcript="Frozen is the budget.", title="Budget"),
        talk("silent", 5, transcript="Nothing of the kind."),
        talk("old", 95, transcript="budget"),
    )
    assert await mentioned(sales, "budget") == [("call", 2), ("other", 2)]
    assert await mentioned(sales, "budget is  frozen") == [("call", 1)]
    assert await mentioned(sales, "budget is fro") == [("call", 1)]
    assert await mentioned(sales, "udget") == []
    assert await mentioned(sales, "budget", deal_id="crm:a") == [("call", 2)]
    assert await mentioned(sales, "budget", period="last_96_days", offset=2) == [("old", 1)]
    (told,) = (await sales.ask("mentions", term="budget is frozen"))["mentions"]
    assert told["deals"] == [{"deal_id": "crm:a", "name": "Deal a"}]
    assert (told["title"], told["account"]) == ("Call", "Hooli")
    (snippet,) = told["snippets"]
    assert "Well. The BUDGET is frozen until May, y y" in snippet
    assert len(snippet) <= 300


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ("$5k", "They pay $5k a month."),
        ("C++", "Written in C++, they said."),
        ("(maybe)", "Yes (maybe) no"),
        ("o'brien", "Ask O'Brien about it"),
        ("50%", "Off by 50%."),
        ("acme.com", "See acme.com/pricing for it"),
        ("Größe", "Die größe zählt"),
        ("a|b", "either a|b"),
        ("it's \\d", "so it's \\d then"),
    ],
)
async def test_a_term_is_taken_letter_by_letter(sales: Sales, term: str, said: str) -> None:
    await sales.tell(talk("v", 1, transcript=said), talk("w", 1, transcript="5 C a maybe brien it"))
    assert await mentioned(sales, term) == [("v", 1)]


async def test_a_term_without_a_word_is_refused(sales: Sales) -> None:
    with pytest.raises(ValidationError, match="letter or digit"):
        await sales.ask("mentions", term="?!")
    with pytest.raises(ValidationError, match="letter or digit"):
        await sales.ask("search", text="*")


async def test_roles_show_who_is_known_and_who_is_not(sales: Sales) -> None:
    await sales.tell(
        deal("big", 900, contacts=people("big", "Champion", "decision maker")),
        deal("mid", 500, contacts=people("mid", "champion")),
        deal("none", 100, owner="bo"),
        deal("won", stage="won", contacts=people("won", "champion")),
        contact("big-Champion", "Cleo", title="CFO"),
        contact("big-decision maker", "Dan"),
        contact("mid-champion", "Eve"),
        contact("won-champion", "Finn"),
    )
    answer = await sales.ask("contact_roles")
    told = [
        (each["name"], [(who["name"], who["role"]) for who in each["contacts"]])
        for each in answer["deals"]
    ]
    assert told == [
        ("Deal big", [("Cleo", "Champion"), ("Dan", "decision maker")]),
        ("Deal mid", [("Eve", "champion")]),
        ("Deal none", []),
    ]
    assert answer["roles"] == [
        {"role": "champion", "deals": 2, "contacts": 2},
        {"role": "decision maker", "deals": 1, "contacts": 1},
    ]
    assert await sales.found("contact_roles", without_role="Decision maker") == ["mid", "none"]
    assert await sales.found("contact_roles", deal_id="crm:won") == ["won"]
    assert await sales.found("contact_roles", owner="bo") == ["none"]
    page = await sales.ask("contact_roles", limit=1, offset=1)
    assert ([each["name"] for each in page["deals"]], page["more"]) == (["Deal mid"], True)
    assert len(page["roles"]) == 2


async def test_an_account_is_told_with_its_deals_and_people(sales: Sales) -> None:
    await sales.tell(
        contact("cleo", title="CFO", account="hooli"),
        deal("open", 100, account="hooli"),
        deal("larger", 200, account="hooli"),
        deal("won", 300, stage="won", account="hooli"),
        deal("won too", 50, stage="won", account="hooli"),
        deal("lost", 40, stage="lost", account="hooli", currency="USD"),
        deal("elsewhere"),
        touch("x", 9, account="hooli", subject="Direct"),
        touch("open", 4, subject="By the deal"),
        talk("v", 6, account="hooli", title="Talk"),
    )
    told = await sales.ask("get_account", account_id="crm:hooli")
    account = told["account"]
    assert (account["name"], account["segment"], account["owner"]) == ("Hooli", "Enterprise", "Bo")
    assert (account["last_activity_on"], account["days_since_activity"]) == (day(4).isoformat(), 4)
    assert [each["name"] for each in told["contacts"]] == ["Cleo"]
    assert [each["name"] for each in told["open_deals"]] == ["Deal larger", "Deal open"]
    assert told["closed"] == [
        {"outcome": "won", "currency": "EUR", "deals": 2, "amount": 350},
        {"outcome": "lost", "currency": "USD", "deals": 1, "amount": 40},
    ]
    assert [each["subject"] for each in told["activities"]] == ["Direct"]
    assert [each["title"] for each in told["conversations"]] == ["Talk"]
    with pytest.raises(NotFound, match="crm_search"):
        await sales.ask("get_account", account_id="hooli")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("globex", ["Cleo O'Hara", "Globex", "Globex migration", "Globex past"]),
        ("glob mig", ["Globex migration"]),
        ("migration globex", ["Globex migration"]),
        ("lobex", []),
        ("cleo@globex.example", ["Cleo O'Hara"]),
        ("globex.example", ["Cleo O'Hara", "Globex"]),
        ("o'hara", ["Cleo O'Hara"]),
        ("crm:migration", ["Globex migration"]),
        ("ada", ["Ada"]),
        ("':* & | !", None),
        ("hooli & !x:*", []),
        ("Initech", ["Initech"]),
    ],
)
async def test_search_finds_by_words_and_their_beginnings(
    sales: Sales, text: str, found: list[str] | None
) -> None:
    await sales.tell(
        Account(id="globex", modified_at=NOW, name="Globex", domain="globex.example"),
        deal("migration", name="Globex migration"),
        deal("past", name="Globex past", stage="lost"),
        contact("cleo", "Cleo O'Hara", email="cleo@globex.example", title="CFO", account="globex"),
    )
    if found is None:
        with pytest.raises(ValidationError):
            await sales.ask("search", text=text)
        return
    answer = await sales.ask("search", text=text)
    assert sorted(each["name"] for each in answer["results"]) == found
    assert answer["total"] == len(found)


async def test_search_puts_the_very_name_first_and_closed_deals_last(sales: Sales) -> None:
    await sales.tell(
        Account(id="globex", modified_at=NOW, name="Globex"),
        deal("a past", name="Globex past", stage="lost"),
        deal("b", name="Globex now"),
        contact("cleo", "Cleo", email="cleo@globex.example"),
    )
    found = (await sales.ask("search", text="globex"))["results"]
    assert [each["name"] for each in found] == ["Globex", "Globex now", "Cleo", "Globex past"]


async def test_search_tells_what_is_found_apart(sales: Sales) -> None:
    await sales.tell(
        Account(id="ada", modified_at=NOW, name="Ada Works", domain="ada.example"),
        deal("ada", name="Ada's deal", url="https://crm/ada", account="hooli"),
        contact("ada", "Ada Stern", title="CFO", account="ada"),
    )
    answer = await sales.ask("search", text="ada")
    assert answer["results"] == [
        {"kind": "owner", "id": "crm:ada", "name": "Ada", "url": None, "detail": "West"},
        {
            "kind": "deal",
            "id": "crm:ada",
            "name": "Ada's deal",
            "url": "https://crm/ada",
            "detail": "New, Hooli",
        },
        {
            "kind": "account",
            "id": "crm:ada",
            "name": "Ada Works",
            "url": None,
            "detail": "ada.example",
        },
        {
            "kind": "contact",
            "id": "crm:ada",
            "name": "Ada Stern",
            "url": None,
            "detail": "CFO, Ada Works",
        },
    ]
    only = await sales.ask("search", text="ada", kinds=["contact", "deal"], limit=1)
    assert ([each["kind"] for each in only["results"]], only["total"]) == (["deal"], 2)
    assert only["more"]
