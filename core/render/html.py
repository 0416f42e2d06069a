"""A page of its own: nothing is fetched, nothing runs, and data is never markup."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from core.render import pieces
from core.render.reading import groups, in_numbers, in_short, severities, since, to_do
from core.render.words import BY_DEMO, URL, clean, facts, line, moment, title_of, web
from core.report import Occasion, Report

PAGES = Path(__file__).parent / "pages"
OPEN = ("queued", "running", "waiting", "paused")
LONGEST_LINE = 2_000
MOST_TASKS_SHOWN = 6


def html(value: Any, occasion: Occasion) -> str:
    report = Report.read(value) if occasion.status == "succeeded" else None
    has_pieces = report is None and (occasion.status == "succeeded" or value is not None)
    return _template("report.html").render(
        style=_style(),
        occasion=occasion,
        report=report,
        title=_title(report, occasion),
        pieces=pieces.pieces(value) if has_pieces else [],
        is_open=occasion.status in OPEN,
        most_tasks=MOST_TASKS_SHOWN,
        by_demo=BY_DEMO if occasion.by_demo else None,
    )


def refused(why: str) -> str:
    """For a browser whose link opens nothing."""
    return _template("refused.html").render(style=_style(), why=why)


@cache
def policy() -> str:
    """What a browser is told that a page may do: have this one style."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )


def _title(report: Report | None, occasion: Occasion) -> str:
    named = line(report.title, 200) if report else ""
    return named or title_of(occasion.skill)


def prose(text: str) -> Markup:
    """Paragraphs, in which plain web addresses are links."""
    paragraphs = clean(text).strip().split("\n\n")
    shown = [Markup("<br>").join(map(linked, each.strip().split("\n"))) for each in paragraphs]
    return Markup("\n").join(Markup("<p>{}</p>").format(each) for each in shown if each)


def linked(text: str) -> Markup:
    parts: list[Markup] = []
    begin = 0
    for found in URL.finditer(text):
        parts += [escape(text[begin : found.start()]), _link(found[0])]
        begin = found.end()
    return Markup("").join([*parts, escape(text[begin:])])


def _link(url: str) -> Markup:
    return Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(url, url)


def flat(text: Any) -> Markup:
    return linked(line(str(text), LONGEST_LINE))


FILTERS: dict[str, Callable[..., Any]] = {
    "prose": prose,
    "flat": flat,
    "title_of": title_of,
    "web": web,
    "facts": facts,
    "moment": moment,
    "in_numbers": in_numbers,
    "in_short": in_short,
    "since": since,
    "severities": severities,
    "groups": groups,
    "to_do": to_do,
    "kind": lambda piece: type(piece).__name__,
}


@cache
def _style() -> str:
    return (PAGES / "report.css").read_text("utf-8")


@cache
def _template(name: str) -> Any:
    pages = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    known: dict[str, Any] = pages.filters
    known.update(FILTERS)
    return pages.get_template(name)
