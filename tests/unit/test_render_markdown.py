"""Markdown, read by a parser that is not ours: data is text, whatever it holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from markdown_it import MarkdownIt
from markdown_it.token import Token

from core.render.markdown import markdown, table
from core.report import Changes, DealRef, Finding, Metric, Occasion, Report, Task
from core.run import Failure

OCCASION = Occasion(
    run_id="pipeline-hygiene-1",
    skill="pipeline-hygiene",
    workspace="Acme",
    at=datetime(2026, 11, 20, 8, tzinfo=UTC),
)
HOSTILE = "<script>x</script> [a](javascript:x) **b** `c` | d | &copy; # e ~~f~~ ![g](h) @all"
ACME = DealRef(
    id="demo:1",
    name="Acme | Renewal",
    url="https://crm.example.com/deals/1",
    amount=48_000,
    currency="EUR",
    stage="Proposal",
    owner="Ana",
)
WHOLE = Report(
    title="Pipeline hygiene",
    summary="Two deals need you.\nMost of all Acme: https://crm.example.com/a_b?c=1&d=2.",
    period="47th week",
    metrics=(Metric(label="Open", value="EUR 1.2M", change="+3 %"),),
    changes=Changes(since="Monday", new=1, resolved=2, still=3, notes=("Won one",)),
    findings=(
        Finding(
            kind="stale",
            severity="low",
            title="Silent for 20 days",
            deal=DealRef(id="demo:2", name="Bolt"),
        ),
        Finding(
            kind="slipped",
            severity="high",
            title="Was to close on 1 November",
            detail="Twice before.",
            deal=ACME,
            action="Set a new date",
            owner="Ana",
            due="2026-11-24",
            new=True,
        ),
    ),
    tasks=(Task(what="Call Acme", who="Ana", due="Friday"), Task(what="Clean up")),
    note="As of today.",
)


def said(value: Any, **more: Any) -> str:
    value = value.model_dump(mode="json") if isinstance(value, Report) else value
    return markdown(value, OCCASION.model_copy(update=more))


def tokens(text: str) -> list[Token]:
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [inner for token in parsed for inner in (token, *(token.children or ()))]


def addresses(text: str) -> list[str]:
    return [str(token.attrs["href"]) for token in tokens(text) if token.type == "link_open"]


def test_a_report_as_it_reads() -> None:
    assert said(WHOLE) == snapshot("""\
# Pipeline hygiene

Acme · 47th week · 20 November 2026, 08:00 UTC

Two deals need you.
Most of all Acme: <https://crm.example.com/a_b?c=1&d=2>.

|  | Value | Change |
| --- | --- | --- |
| Open | EUR 1.2M | +3 % |

**Since Monday:** 1 new, 2 resolved, 3 still there

- Won one

## Findings

2 findings: 1 high, 1 low

### Slipped (1)

- 🔴 **high, new** [Acme \\| Renewal](https://crm.example.com/deals/1) (EUR 48k, Proposal, Ana): Was to close on 1 November – Twice before.  \n\
  → Set a new date (Ana, by 2026-11-24)

### Stale (1)

- ⚪ **low** Bolt: Silent for 20 days

## To do

**Ana**

- Call Acme (by Friday)

**Nobody yet**

- Clean up

---

As of today.
""")  # noqa: E501


def test_links_lead_to_the_deals() -> None:
    assert addresses(said(WHOLE)) == [
        "https://crm.example.com/a_b?c=1&d=2",
        "https://crm.example.com/deals/1",
    ]


def test_other_json_as_it_reads() -> None:
    value = {
        "total": 2,
        "rate": 0.5,
        "links": [{"url": "https://a.example/x", "ok": True}, {"url": "<b>", "ok": None}],
        "names": ["Ada", "Bo"],
        "log": "first\nsecond",
        "deep": {"a": [{"b": [1]}]},
    }
    assert said(value, skill="link-check") == snapshot("""\
# Link check

Acme · 20 November 2026, 08:00 UTC

- **Total:** 2
- **Rate:** 0.5

## Links

| Url | Ok |
| --- | --- |
| <https://a.example/x> | yes |
| \\<b\\> | – |

## Names

- Ada
- Bo

## Log

first
second

## Deep

```json
{
  "a": [
    {
      "b": [
        1
      ]
    }
  ]
}
```
""")


def test_a_run_that_failed_says_why_and_what_it_had() -> None:
    error = Failure(code="tool_failed", message="the CRM is away")
    text = said({"done": 3}, status="failed", error=error)
    assert "**This run is failed.**" in text
    assert "the CRM is away" in text
    assert "- **Done:** 3" in text


def test_what_the_demo_model_wrote_says_so() -> None:
    assert "demo model" in said(WHOLE, by_demo=True)
    assert "demo model" not in said(WHOLE)


def test_nothing_is_said_to_be_nothing() -> None:
    assert "This run gave nothing to show." in said(None)


MARKS = st.text("*_`[]()<>|~#-+=1.)&;!\\ \n@ab", max_size=40)
TEXT = st.text(max_size=200) | st.just(HOSTILE) | MARKS
HARMLESS = {
    "paragraph_open",
    "paragraph_close",
    "inline",
    "text",
    "text_special",
    "softbreak",
    "hardbreak",
}
LINKS = {"link_open", "link_close"}


@given(TEXT)
def test_text_stays_text(text: str) -> None:
    shown = said(text).split("\n\n", 2)[2]
    found = tokens(shown)
    assert {token.type for token in found} <= HARMLESS | LINKS
    assert all(address.startswith(("http://", "https://")) for address in addresses(shown))


@given(st.lists(TEXT, min_size=2, max_size=2))
def test_a_cell_stays_a_cell(row: list[str]) -> None:
    found = tokens(table(("A", "B"), (tuple(row),)))
    assert [token.type for token in found].count("td_open") == 2
    assert not any(token.type.startswith("html") for token in found)


@given(TEXT)
def test_a_finding_stays_one_item_whatever_it_says(text: str) -> None:
    one = Finding(kind=text, title=text, detail=text, action=text, owner=text, due=text)
    named = one.model_copy(update={"deal": DealRef(id="1", name=text, url=text, stage=text)})
    report = Report(title=text, findings=(one, named))
    found = tokens(said(report))
    kinds = [token.type for token in found]
    asked = 2 if text else 0  # what findings ask for is said again below, by person
    assert kinds.count("list_item_open") == 2 + asked
    assert not {"html_block", "html_inline", "code_block", "fence", "image"} & set(kinds)
