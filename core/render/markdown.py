"""Markdown as GitHub reads it: data stays text, and only web addresses become links."""

from __future__ import annotations

import re
from typing import Any

from core.render.pieces import Bullets, Code, Facts, Heading, Piece, Prose, Table, pieces
from core.render.reading import Group, groups, in_numbers, in_short, since, to_do
from core.render.words import (
    BY_DEMO,
    CIRCLE,
    URL,
    clean,
    facts,
    line,
    moment,
    title_of,
    web,
)
from core.report import Finding, Occasion, Report, Task

MARKS = re.compile(r"[\\`*_\[\]<>|~#]|&(?=[#A-Za-z0-9])|(?<!\w)@(?=\w)")
# What would begin a list, a heading or a rule at the start of a line.
OPENING = re.compile(r"^(\s*)([-+](?=[\s-]|$)|=(?==*\s*$)|\d{1,9}(?=[.)](?:\s|$)))", re.MULTILINE)
NOT_IN_LINKS = re.compile(r"[<>()\\|`\[\]\"']")
FENCE = re.compile(r"`{3,}")
LONGEST_LINE = 2_000


def markdown(value: Any, occasion: Occasion) -> str:
    report = Report.read(value) if occasion.status == "succeeded" else None
    parts = _report(report, occasion) if report else _other(value, occasion)
    if occasion.by_demo:
        parts += ["---", f"*{BY_DEMO}*"]
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def _report(report: Report, occasion: Occasion) -> list[str]:
    return [
        f"# {flat(report.title) or 'Report'}",
        _about(report.period, occasion),
        prose(report.summary),
        _metrics(report),
        *_changes(report),
        *_findings(report),
        *_to_do(report),
        *(["---", prose(report.note)] if report.note else []),
    ]


def _about(period: str | None, occasion: Occasion) -> str:
    parts = [occasion.workspace, period or "", moment(occasion.at)]
    return " · ".join(flat(part) for part in parts if part.strip())


def _metrics(report: Report) -> str:
    if not report.metrics:
        return ""
    rows = tuple((each.label, each.value, each.change or "") for each in report.metrics)
    return table(("", "Value", "Change"), rows)


def _changes(report: Report) -> list[str]:
    changes = report.changes
    if changes is None:
        return []
    counted = in_short(changes)
    heading = f"**{flat(since(changes))}:** {counted}" if counted else f"**{flat(since(changes))}**"
    notes = "\n".join(f"- {flat(note)}" for note in changes.notes)
    return [heading, notes] if counted or notes else []


def _findings(report: Report) -> list[str]:
    if not report.findings:
        return []
    parts = [f"## Findings\n\n{in_numbers(report.findings)}"]
    return [*parts, *(_group(group) for group in groups(report))]


def _group(group: Group) -> str:
    lines = "\n".join(map(_finding, group.findings))
    return f"### {flat(title_of(group.kind))} ({len(group.findings):,})\n\n{lines}"


def _finding(finding: Finding) -> str:
    mark = f"{CIRCLE[finding.severity]} **{finding.severity}{', new' if finding.new else ''}**"
    subject = f" {_deal(finding)}:" if finding.deal else ""
    detail = f" – {flat(finding.detail)}" if finding.detail.strip() else ""
    first = f"- {mark}{subject} {flat(finding.title)}{detail}"
    if not finding.action:
        return first
    known = [finding.owner, f"by {finding.due}" if finding.due else None]
    whose = ", ".join(flat(each) for each in known if each)
    return f"{first}  \n  → {flat(finding.action)}{f' ({whose})' if whose else ''}"


def _deal(finding: Finding) -> str:
    assert finding.deal is not None
    beside = ", ".join(flat(fact) for fact in facts(finding.deal))
    named = link(finding.deal.url, finding.deal.name or finding.deal.id)
    return f"{named}{f' ({beside})' if beside else ''}"


def _to_do(report: Report) -> list[str]:
    people = to_do(report)
    if not people:
        return []
    return ["## To do", *(_person(who, tasks) for who, tasks in people)]


def _person(who: str | None, tasks: list[Task]) -> str:
    lines = [
        f"- {flat(task.what)}{f' (by {flat(task.due)})' if task.due else ''}" for task in tasks
    ]
    return f"**{flat(who or 'Nobody yet')}**\n\n" + "\n".join(lines)


# Anything else


def _other(value: Any, occasion: Occasion) -> list[str]:
    parts = [f"# {flat(title_of(occasion.skill))}", _about(None, occasion)]
    if occasion.status != "succeeded":
        parts.append(f"**This run is {occasion.status.replace('_', ' ')}.**")
        parts.append(prose(occasion.error.message) if occasion.error else "")
        if value is None:
            return parts
    return [*parts, *map(_piece, pieces(value))]


def _piece(piece: Piece) -> str:
    match piece:
        case Heading(text):
            return f"## {flat(text)}"
        case Prose(text):
            return prose(text)
        case Facts(rows):
            return "\n".join(f"- **{flat(name)}:** {flat(value)}" for name, value in rows)
        case Bullets(items, left_out):
            return "\n".join([*(f"- {flat(item)}" for item in items), *_more(left_out)])
        case Table(columns, rows, left_out):
            return "\n\n".join([table(columns, rows), *_more(left_out)])
        case Code(text):
            return f"```json\n{FENCE.sub('', text)}\n```"


def _more(left_out: int) -> list[str]:
    return [f"… and {left_out:,} more."] if left_out else []


# Marks


def escaped(text: str) -> str:
    text = MARKS.sub(lambda mark: f"\\{mark[0]}" if mark[0] != "@" else "@\u2060", clean(text))
    return OPENING.sub(_harmless, text)


def _harmless(opening: re.Match[str]) -> str:
    space, mark = opening.groups()
    # Four spaces would make it code.
    space = space.replace("\t", " ")[:3]
    return f"{space}\\{mark}" if not mark.isdecimal() else f"{space}{mark}\\"


def linked(text: str) -> str:
    """In which plain web addresses are links."""
    parts: list[str] = []
    begin = 0
    for found in URL.finditer(text):
        parts += [escaped(text[begin : found.start()]), f"<{_encoded(found[0])}>"]
        begin = found.end()
    return "".join([*parts, escaped(text[begin:])])


def flat(text: str) -> str:
    return linked(line(text, LONGEST_LINE))


def prose(text: str) -> str:
    return "\n".join(linked(each.strip()) for each in clean(text).strip().split("\n"))


def link(url: str | None, text: str) -> str:
    named = escaped(line(text, LONGEST_LINE)) or "link"
    address = web(url)
    if address is None:
        return named
    return f"[{named}]({_encoded(address)})"


def _encoded(address: str) -> str:
    return NOT_IN_LINKS.sub(lambda mark: f"%{ord(mark[0]):02X}", address)


def table(columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    head = f"| {' | '.join(flat(each) for each in columns)} |"
    rule = f"|{' --- |' * len(columns)}"
    lines = [f"| {' | '.join(flat(cell) for cell in row)} |" for row in rows]
    return "\n".join([head, rule, *lines])
