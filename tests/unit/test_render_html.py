"""The page of a report: it fetches nothing, runs nothing, and shows data as data."""

from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from core.render.html import html, policy, refused
from core.report import DealRef, Finding, Report, Task
from core.run import Failure
from tests.unit.test_render_markdown import HOSTILE, OCCASION, TEXT, WHOLE

VOID = {"meta", "link", "input", "br", "hr", "img"}
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section"),
    *("article", "aside", "nav", "h1", "h2", "h3", "h4", "p", "br", "a", "ul", "li", "dl", "dt"),
    *("dd", "div", "span", "small", "strong", "time", "fieldset", "legend", "label", "input"),
    *("details", "summary", "table", "thead", "tbody", "tr", "th", "td", "pre", "code"),
}


class Page(HTMLParser):
    """What a browser would make of it, held against what may be there."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.headings: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.style = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED, tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in ("src", "style", "srcset", "action", "formaction"), name
            if name == "href":
                assert value is not None
                self.links.append(value)
        if tag not in VOID:
            self._open.append(tag)
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["style"]:
            self.style += data
            return
        inside = [tag for tag in self._open if tag in ("h1", "h2", "h3", "h4")]
        if inside:
            tag, text = self.headings[-1]
            self.headings[-1] = (tag, " ".join(f"{text} {data}".split()))
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def page(value: Any, **more: Any) -> Page:
    value = value.model_dump(mode="json") if isinstance(value, Report) else value
    found = Page(html(value, OCCASION.model_copy(update=more)))
    assert all(link.startswith(("http://", "https://", "#")) for link in found.links)
    return found


def test_a_report_as_it_reads() -> None:
    found = page(WHOLE)
    assert found.headings == snapshot(
        [
            ("h1", "Pipeline hygiene"),
            ("h2", "Since Monday"),
            ("h2", "To do"),
            ("h3", "Ana"),
            ("h3", "Nobody yet"),
            ("h2", "Findings"),
            ("h3", "Slipped 1"),
            ("h4", "Acme | Renewal EUR 48k · Proposal · Ana"),
            ("h3", "Stale 1"),
            ("h4", "Bolt"),
        ]
    )
    assert found.words == snapshot(
        "Pipeline hygiene Acme · 47th week Pipeline hygiene 20 November 2026, 08:00 UTC Two deals need you. Most of all Acme: https://crm.example.com/a_b?c=1&d=2 . Open EUR 1.2M +3 % Since Monday 1 new, 2 resolved, 3 still there Won one To do Ana Call Acme by Friday Nobody yet Clean up Findings 2 findings: 1 high, 1 low Show All High 1 Low 1 Slipped 1 Stale 1 Slipped 1 High New Acme | Renewal EUR 48k · Proposal · Ana Was to close on 1 November Twice before. Set a new date Ana, by 2026-11-24 Stale 1 Low Bolt Silent for 20 days As of today. Pipeline hygiene · run pipeline-hygiene-1"  # noqa: E501
    )
    assert found.links == snapshot(
        [
            "https://crm.example.com/a_b?c=1&d=2",
            "#kind-1",
            "#kind-2",
            "https://crm.example.com/deals/1",
        ]
    )


def test_the_style_is_the_one_that_the_policy_allows() -> None:
    digest = base64.b64encode(hashlib.sha256(page(WHOLE).style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy()
    assert policy().startswith("default-src 'none';")
    assert "url(" not in page(WHOLE).style
    assert "@import" not in page(WHOLE).style


def test_a_filter_is_there_where_severities_differ() -> None:
    assert "Show All High 1 Low 1" in page(WHOLE).words
    alike = WHOLE.model_copy(update={"findings": WHOLE.findings[:1]})
    assert "Show" not in page(alike).words


def test_many_tasks_of_a_person_are_folded_and_all_there() -> None:
    tasks = tuple(Task(what=f"Task {number}", who="Ana") for number in range(9))
    found = page(Report(title="R", tasks=tasks))
    assert "3 more" in found.words
    assert all(f"Task {number}" in found.words for number in range(9))


def test_all_findings_are_there() -> None:
    findings = tuple(
        Finding(kind=f"k{number % 7}", title=f"Finding number {number}") for number in range(400)
    )
    found = page(Report(title="R", findings=findings)).words
    assert all(f"Finding number {number} " in f"{found} " for number in range(400))


def test_what_the_demo_model_wrote_is_labelled() -> None:
    assert "Demo. Written by the built-in demo model" in page(WHOLE, by_demo=True).words
    assert "Demo." not in page(WHOLE).words


def test_other_json_becomes_tables_lists_and_code() -> None:
    value = {
        "total": 2,
        "links": [{"url": "https://a.example/x", "ok": True}, {"url": HOSTILE, "ok": None}],
        "deep": {"a": [{"b": [1]}]},
    }
    found = page(value, skill="link-check")
    assert found.headings == [("h1", "Link check"), ("h2", "Links"), ("h2", "Deep")]
    assert found.links == ["https://a.example/x"]


def test_a_run_that_goes_on_is_looked_at_again() -> None:
    text = html(None, OCCASION.model_copy(update={"status": "running"}))
    assert '<meta http-equiv="refresh" content="5">' in text
    assert "This run is running." in text
    assert "refresh" not in html(None, OCCASION)


def test_a_run_that_failed_says_why() -> None:
    error = Failure(code="tool_failed", message="the CRM <is> away")
    found = page(None, status="timed_out", error=error)
    assert "This run is timed out. the CRM <is> away" in found.words
    assert "nothing to show" not in found.words


def test_a_link_that_opens_nothing_says_so() -> None:
    assert "this link <has> expired" in Page(refused("this link <has> expired")).words


@given(TEXT)
def test_data_is_never_markup(text: str) -> None:
    deal = DealRef(id=text, name=text, url=text, stage=text, owner=text)
    one = Finding(kind=text, title=text, detail=text, deal=deal, action=text, owner=text, due=text)
    page(Report(title=text, summary=text, findings=(one,), note=text), workspace=text)
    page({"a": text, text: [text], "b": [{text: text}], "c": {"d": [text, [text]]}})


@given(st.text())
def test_texts_are_shown_whole(text: str) -> None:
    shown = page(text).words
    for word in text.replace("\x00", " ").split():
        if word.isascii() and word.isprintable():
            assert word in shown
