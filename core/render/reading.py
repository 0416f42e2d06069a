"""The order in which people read a report: the worst first, alike beside alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.render.words import counted, line
from core.report import Changes, Finding, Report, Severity, Task

SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low")


@dataclass(frozen=True)
class Group:
    """Findings of one kind, the most severe first."""

    kind: str
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> int:
        return SEVERITIES.index(self.findings[0].severity)

    def of(self, severity: Severity) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == severity]


def groups(report: Report) -> list[Group]:
    """First those that hold the most severe findings, of these first the ones with most."""
    of_kind: dict[str, list[Finding]] = {}
    for finding in report.findings:
        of_kind.setdefault(finding.kind, []).append(finding)
    found = [Group(kind, tuple(by_severity(each))) for kind, each in of_kind.items()]

    def rank(group: Group) -> tuple[int, int, str]:
        severe = sum(each.severity == group.findings[0].severity for each in group.findings)
        return group.worst, -severe, group.kind

    return sorted(found, key=rank)


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def severities(findings: Iterable[Finding]) -> dict[Severity, int]:
    """How many there are of each, without those there are none of."""
    counts: dict[Severity, int] = dict.fromkeys(SEVERITIES, 0)
    for finding in findings:
        counts[finding.severity] += 1
    return {severity: count for severity, count in counts.items() if count}


def in_numbers(findings: Iterable[Finding]) -> str:
    """`12 findings: 3 high, 9 low`."""
    counts = severities(findings)
    total = counted(sum(counts.values()), "finding")
    return f"{total}: {', '.join(f'{many} {each}' for each, many in counts.items())}"


def to_do(report: Report) -> list[tuple[str | None, list[Task]]]:
    """By person, whoever has most first, nobody's last, and otherwise as the report has it.

    Where the report lists no tasks, those are what its findings ask for.
    """
    asked = report.tasks or tuple(
        Task(what=_about(finding), who=finding.owner, due=finding.due)
        for finding in by_severity(report.findings)
        if finding.action
    )
    of_person: dict[str | None, list[Task]] = {}
    for task in asked:
        of_person.setdefault(task.who or None, []).append(task)
    return sorted(of_person.items(), key=lambda each: (each[0] is None, -len(each[1])))


def _about(finding: Finding) -> str:
    return f"{finding.deal.name}: {finding.action}" if finding.deal else str(finding.action)


def in_short(changes: Changes) -> str:
    """`3 new, 2 resolved, 14 still there`; empty where nothing was counted."""
    counts = (
        (changes.new, "new"),
        (changes.resolved, "resolved"),
        (changes.still, "still there"),
    )
    return ", ".join(f"{count:,} {what}" for count, what in counts if count is not None)


def since(changes: Changes) -> str:
    last = line(changes.since or "", 80)
    return f"Since {last}" if last else "Since the last report"
