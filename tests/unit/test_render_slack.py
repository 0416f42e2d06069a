"""What is posted to Slack: within its limits, worst first, and with nobody called by accident."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from core.render.slack import Message, slack
from core.report import Changes, DealRef, Finding, Metric, Occasion, Report, Task
from core.run import Failure
from tests.slack import Broken, check

LINK = "https://perdure.example.com/api/runs/r1/report?token=t"
OCCASION = Occasion(
    run_id="pipeline-hygiene-1",
    skill="pipeline-hygiene",
    workspace="Acme",
    at=datetime(2026, 11, 20, 8, tzinfo=UTC),
    link=LINK,
)
KINDS = ("stale", "slipped", "single_threaded", "no_next_step")
HOSTILE = '<!channel> @here <@U1> & *b* <https://evil.example|safe> `x` "q" @channel\n# ~s~'


def deal(number: int, **more: Any) -> DealRef:
    known: dict[str, Any] = {
        "id": f"demo:{number}",
        "name": f"Deal {number}",
        "url": f"https://crm.example.com/deals/{number}",
        "amount": 1000.0 * number,
        "currency": "EUR",
        "stage": "Proposal",
        "owner": "Ana",
    }
    return DealRef(**{**known, **more})


def finding(number: int, **more: Any) -> Finding:
    known: dict[str, Any] = {
        "kind": KINDS[number % 4],
        "severity": ("low", "medium", "high")[number % 3],
        "title": f"Nothing happened for {number} days",
        "deal": deal(number),
        "action": "Call them",
        "owner": "Ana",
    }
    return Finding(**{**known, **more})


def report(count: int, **more: Any) -> Report:
    findings = tuple(finding(number) for number in range(count))
    return Report(**{"title": "Pipeline hygiene", "findings": findings, **more})


def rendered(value: Any, **more: Any) -> Message:
    """Held against Slack's rules, whatever is asked of it."""
    value = value.model_dump(mode="json") if isinstance(value, Report) else value
    message = slack(value, OCCASION.model_copy(update=more))
    check(message.payload())
    return message


def texts(message: Message) -> list[str]:
    found: list[str] = []
    for block in message.blocks:
        parts = [block.get("text"), *block.get("fields", ()), *block.get("elements", ())]
        found += [part["text"] for part in parts if part and isinstance(part["text"], str)]
    return found


def test_a_report_as_it_is_posted() -> None:
    whole = report(
        2,
        summary="Two deals need you.\n\nSee https://example.com/a?b=1&c=2.",
        period="47th week",
        metrics=(Metric(label="Open", value="EUR 1.2M", change="+3 %"),),
        changes=Changes(since="Monday", new=1, resolved=2, still=3, notes=("Won one",)),
        tasks=(Task(what="Call Deal 1", who="Ana", due="2026-11-24"), Task(what="Think")),
        note="As of today.",
    )
    assert "\n----\n".join(texts(rendered(whole))) == snapshot("""\
Pipeline hygiene
----
Acme · 47th week · 20 November 2026, 08:00 UTC
----
Two deals need you.

See <https://example.com/a?b=1&amp;c=2|https://example.com/a?b=1&amp;c=2>.
----
*Open*
EUR 1.2M (+3 %)
----
*Since Monday:* 1 new, 2 resolved, 3 still there
• Won one
----
*Slipped* (1)
🟠 *<https://crm.example.com/deals/1|Deal 1>* (EUR 1k, Proposal, Ana): Nothing happened for 1 days
      → Call them (Ana)
----
*Stale* (1)
⚪ *<https://crm.example.com/deals/0|Deal 0>* (EUR 0, Proposal, Ana): Nothing happened for 0 days
      → Call them (Ana)
----
*To do*
• *Ana*: Call Deal 1 _by 2026-11-24_
• Think
----
As of today.\
""")


def test_the_most_severe_of_each_kind_is_shown_and_the_rest_is_counted_and_linked() -> None:
    message = rendered(report(400))
    shown = "\n".join(texts(message))
    assert shown.count("🔴") + shown.count("🟠") + shown.count("⚪") == 400 - message.folded
    assert f"… and {message.folded:,} more in <{LINK}|the full report>: " in shown
    assert message.folded >= 370
    assert "⚪" not in shown
    assert shown.index("Stale") < shown.index("… and")
    for kind in ("Stale", "Slipped", "Single threaded", "No next step"):
        assert f"*{kind}* (" in shown


def test_severe_kinds_come_first() -> None:
    findings = (
        *(finding(number, kind="stale", severity="low") for number in range(9)),
        finding(50, kind="slipped", severity="high"),
        finding(51, kind="pushed", severity="medium"),
    )
    shown = "\n".join(texts(rendered(Report(title="R", findings=findings))))
    assert shown.index("Slipped") < shown.index("Pushed") < shown.index("Stale")


def test_what_is_less_severe_never_takes_the_place_of_what_is_more() -> None:
    findings = (
        *(finding(number, kind="slipped", severity="high") for number in range(40)),
        *(finding(number, kind="stale", severity="low") for number in range(40)),
    )
    shown = "\n".join(texts(rendered(Report(title="R", findings=findings))))
    assert shown.count("🔴") == 30
    assert "⚪" not in shown
    assert "50 more" in shown
    assert "10 slipped, 40 stale" in shown


def test_all_is_shown_where_all_fits() -> None:
    message = rendered(report(9))
    assert message.folded == 0
    assert "… and" not in "".join(texts(message))


def test_data_calls_nobody_and_makes_no_link() -> None:
    ref = deal(1, name=HOSTILE, url="javascript:alert(1)", owner=HOSTILE, stage=HOSTILE)
    one = finding(1, title=HOSTILE, deal=ref, action=HOSTILE, owner=HOSTILE, kind="<!here>")
    whole = Report(
        title=HOSTILE,
        summary=HOSTILE,
        findings=(one,),
        metrics=(Metric(label=HOSTILE, value=HOSTILE, change=HOSTILE),),
        changes=Changes(since=HOSTILE, new=1, notes=(HOSTILE,)),
        tasks=(Task(what=HOSTILE, who=HOSTILE, due=HOSTILE),),
        note=HOSTILE,
    )
    said = "\n".join([*texts(rendered(whole, workspace=HOSTILE))])
    assert "<!channel>" not in said.replace(HOSTILE.split("\n")[0], "")
    assert "javascript" not in said
    assert "&lt;!channel&gt;" in said


def test_an_address_cannot_leave_its_link() -> None:
    ref = deal(1, url="https://crm.example.com/?a=1&b=<!channel>|x")
    said = "\n".join(texts(rendered(Report(title="R", findings=(finding(1, deal=ref),)))))
    assert "<https://crm.example.com/?a=1&amp;b=%3C!channel%3E%7Cx|Deal 1>" in said


def test_text_is_posted_as_text() -> None:
    message = rendered("*Three* deals slipped: see https://example.com <!channel>, @here")
    assert message.payload() == {
        "text": "*Three* deals slipped: see https://example.com &lt;!channel&gt;, @\u2060here"
    }


def test_long_text_goes_on_in_sections_and_ends_with_a_link() -> None:
    message = rendered("A paragraph of words. " * 30 + "\n" + "x" * 20_000)
    assert len(message.blocks) > 3
    assert "<" + LINK + "|the full report>" in texts(message)[-1]


def test_any_other_json_is_readable() -> None:
    value = {
        "total": 3,
        "checked_at": None,
        "links": [{"url": "https://example.com", "ok": True}, {"url": "x", "ok": False}],
        "names": ["Ada", "Bo"],
        "deep": {"a": {"b": [1]}},
    }
    message = rendered(value, skill="link-check", link=None)
    assert "\n----\n".join(texts(message)) == snapshot("""\
Link check
----
Acme · 20 November 2026, 08:00 UTC
----
*Total*: 3
*Checked at*: –
----
*Links*
----
• *<https://example.com|https://example.com>*: Ok yes
• *x*: Ok no
----
*Names*
----
• Ada
• Bo
----
*Deep*
----
```{
  "a": {
    "b": [
      1
    ]
  }
}```\
""")


def test_many_rows_are_folded() -> None:
    message = rendered([{"n": number, "name": "x" * 50} for number in range(1_000)])
    assert message.folded > 900
    assert f"{message.folded:,} more in" in texts(message)[-1]


def test_without_a_link_it_says_where_the_report_is() -> None:
    message = rendered(report(400), link=None)
    assert "(`perdure report pipeline-hygiene-1`)" in "\n".join(texts(message))
    assert message.blocks[-1]["type"] != "actions"


def test_a_run_that_failed_says_so() -> None:
    error = Failure(code="tool_failed", message="the CRM <b> is away")
    message = rendered(None, status="failed", error=error)
    assert texts(message)[:2] == ["Pipeline hygiene: failed", "the CRM &lt;b&gt; is away"]


TEXT = st.text(max_size=400) | st.sampled_from([HOSTILE, "&" * 3_000, "🔴" * 2_000, " ", ""])
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(TEXT, inner, max_size=9)
)


@settings(max_examples=60)
@given(JSON)
def test_whatever_a_run_gives_slack_takes(value: Any) -> None:
    rendered(value)


@settings(max_examples=40)
@given(st.integers(0, 40), TEXT, TEXT, st.lists(TEXT, max_size=12))
def test_whatever_a_report_says_slack_takes(
    count: int, some: str, other: str, many: list[str]
) -> None:
    findings = tuple(
        finding(
            number,
            kind=some if number % 2 else other,
            title=other,
            deal=deal(number, name=some, url=other, stage=other, owner=some),
            action=some,
            owner=other,
            due=some,
        )
        for number in range(count)
    )
    rendered(
        Report(
            title=some,
            summary=other,
            period=some,
            findings=findings,
            metrics=tuple(Metric(label=each, value=some, change=other) for each in many),
            changes=Changes(since=some, new=1, notes=tuple(many)),
            tasks=tuple(Task(what=other, who=each, due=some) for each in many),
            note=some,
        ),
        workspace=other,
    )


@pytest.mark.parametrize(
    "message",
    [
        {"blocks": []},
        {"text": "<!channel>"},
        {"text": "a", "blocks": [{"type": "divider"}] * 51},
        {"text": "a", "blocks": [{"type": "section"}]},
        {"text": "a", "blocks": [{"type": "divider", "block_id": "a"}] * 2},
        {"text": "a", "blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "a"}}]},
        {"text": "a", "attachments": []},
    ],
)
def test_the_strict_server_refuses(message: dict[str, Any]) -> None:
    with pytest.raises(Broken):
        check(message)
