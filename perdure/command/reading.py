"""A report on a terminal: what is worst first, each deal by its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perdure.command.output import Piece, Styled
from perdure.command.plain import one_line, plain
from perdure.report import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.command.output import Output
    from perdure.report import Changes, Deal, Finding, Report, Task

STYLE = {"high": "red", "medium": "yellow", "low": "dim"}
LINKABLE = re.compile(r"https?://[^\s\x00-\x1f\x7f\[\]]+")
FEW = 10
SCALES = ((1e9, "B"), (1e6, "M"), (1e3, "k"))


def show_report(output: Output, report: Report, most: int | None = None) -> None:
    """With `most`, so many findings of each kind; the others are counted."""
    for line in _lines(report, most):
        output.say(*line)


def _lines(report: Report, most: int | None) -> Iterator[list[Piece]]:
    yield [Styled(one_line(report.title), "bold")]
    if report.period:
        yield [Styled(one_line(report.period), "dim")]
    if report.summary.strip():
        yield []
        yield [plain(report.summary.strip())]
    yield from _metrics(report)
    if report.changes:
        yield from _changes(report.changes)
    for kind, findings in report.kinds:
        yield from _kind(kind, findings, most)
    yield from _to_do(report)
    if report.note and report.note.strip():
        yield []
        yield [Styled(plain(report.note.strip()), "dim")]


def _metrics(report: Report) -> Iterator[list[Piece]]:
    if report.metrics:
        yield []
    width = max((len(one_line(each.label)) for each in report.metrics), default=0)
    for metric in report.metrics:
        change = f"  {one_line(metric.change)}" if metric.change else ""
        label = Styled(f"  {one_line(metric.label):<{width}}  ", "dim")
        yield [label, one_line(metric.value), Styled(change, "dim")]


def _changes(changes: Changes) -> Iterator[list[Piece]]:
    counts = ((changes.new, "new"), (changes.resolved, "resolved"), (changes.still, "still there"))
    told = ", ".join(f"{count} {what}" for count, what in counts if count is not None)
    since = f"Since {one_line(changes.since)}" if changes.since else "Since the last report"
    yield []
    yield [Styled(f"{since}: " if told else since, "bold"), told]
    for note in changes.notes:
        yield [f"  • {one_line(note)}"]


def _kind(kind: str, findings: list[Finding], most: int | None) -> Iterator[list[Piece]]:
    yield []
    yield [Styled(_title(kind), "bold"), Styled(f"  {_counted(findings)}", "dim")]
    for finding in findings[:most]:
        yield from _finding(finding)
    left = len(findings) - len(findings[:most])
    if left:
        yield [Styled(f"  … and {left:,} more", "dim")]


def _counted(findings: list[Finding]) -> str:
    severities = [finding.severity for finding in findings]
    counts = ((severities.count(each), each) for each in SEVERITIES)
    return ", ".join(f"{count} {severity}" for count, severity in counts if count)


def _finding(finding: Finding) -> Iterator[list[Piece]]:
    mark = Styled(f"  ● {finding.severity:<7}", STYLE.get(finding.severity, ""))
    fresh: list[Piece] = [Styled("  new", "green")] if finding.new else []
    if finding.deal is None:
        yield [mark, Styled(one_line(finding.title), "bold"), *fresh]
    else:
        yield [mark, _deal(finding.deal), Styled(_beside(finding.deal), "dim"), *fresh]
        yield [f"            {one_line(finding.title)}"]
    if finding.detail.strip():
        yield [Styled(f"            {one_line(finding.detail)}", "dim")]
    if finding.action:
        known = [finding.owner, f"by {finding.due}" if finding.due else None]
        whose = ", ".join(one_line(each) for each in known if each)
        yield [f"            → {one_line(finding.action)}", Styled(f"  {whose}", "dim")]


def _deal(deal: Deal) -> Piece:
    style = "bold"
    if deal.url and LINKABLE.fullmatch(deal.url):
        style = f"bold link {deal.url}"
    return Styled(one_line(deal.name or deal.id), style)


def _beside(deal: Deal) -> str:
    amount = None if deal.amount is None else _money(deal.amount, deal.currency)
    told = " · ".join(one_line(each) for each in (amount, deal.stage, deal.owner) if each)
    return f"  {told}" if told else ""


def _money(amount: float, currency: str | None) -> str:
    for scale, letter in SCALES:
        if abs(amount) >= scale:
            text = f"{amount / scale:.3g}{letter}"
            break
    else:
        text = f"{amount:,.0f}"
    return f"{currency} {text}" if currency else text


def _to_do(report: Report) -> Iterator[list[Piece]]:
    if report.tasks:
        yield []
        yield [Styled("To do", "bold")]
    of_person: dict[str, list[Task]] = {}
    for task in report.tasks:
        of_person.setdefault(one_line(task.who or "") or "nobody yet", []).append(task)
    for who, tasks in of_person.items():
        yield [f"  {who}"]
        for task in tasks:
            due = f"  by {one_line(task.due)}" if task.due else ""
            yield [f"    • {one_line(task.what)}", Styled(due, "dim")]


def _title(slug: str) -> str:
    words = " ".join(re.split(r"[_\-\s]+", one_line(slug))).strip()
    return words[:1].upper() + words[1:]
