"""Reports as skills give them; anything else that a skill gives is no report."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ValidationError

from perdure.model import Answer

SEVERITIES = ("high", "medium", "low")


class Deal(Answer):
    id: str
    name: str
    url: str | None = None
    amount: float | None = None
    currency: str | None = None
    stage: str | None = None
    owner: str | None = None


class Finding(Answer):
    kind: str
    also: tuple[str, ...] = ()
    severity: str = "medium"
    title: str
    detail: str = ""
    deal: Deal | None = None
    action: str | None = None
    owner: str | None = None
    due: str | None = None
    new: bool | None = None


class Metric(Answer):
    label: str
    value: str
    change: str | None = None


class Task(Answer):
    what: str
    who: str | None = None
    due: str | None = None


class Changes(Answer):
    since: str | None = None
    new: int | None = None
    resolved: int | None = None
    still: int | None = None
    notes: tuple[str, ...] = ()


class Report(Answer):
    title: str
    summary: str = ""
    period: str | None = None
    metrics: tuple[Metric, ...] = ()
    findings: tuple[Finding, ...] = ()
    changes: Changes | None = None
    tasks: tuple[Task, ...] = ()
    note: str | None = None

    @classmethod
    def find(cls, value: Any) -> Self | None:
        """None where the value is something else: a report has no fields but these."""
        if not isinstance(value, dict) or not cls.model_fields.keys() >= value.keys():
            return None
        try:
            return cls.model_validate(value)
        except ValidationError:
            return None

    @property
    def kinds(self) -> list[tuple[str, list[Finding]]]:
        """Findings by kind, the most severe first in each, and the worst kind first."""
        of_kind: dict[str, list[Finding]] = {}
        for finding in sorted(self.findings, key=_rank):
            of_kind.setdefault(finding.kind, []).append(finding)

        def worst(kind: tuple[str, list[Finding]]) -> tuple[int, int]:
            rank = _rank(kind[1][0])
            return rank, -sum(_rank(each) == rank for each in kind[1])

        return sorted(of_kind.items(), key=worst)


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity) if finding.severity in SEVERITIES else 1
