"""What a skill that reports gives, so that one renderer serves every format."""

from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from core.model import Frozen
from core.run import Failure, RunStatus

Severity = Literal["high", "medium", "low"]


class DealRef(Frozen):
    """The deal that a finding is about, as a reader wants it named and linked."""

    id: str
    name: str
    url: str | None = None
    amount: float | None = None
    currency: str | None = None
    stage: str | None = None
    owner: str | None = None


class Finding(Frozen):
    """`kind` is a slug (`stale`, `slipped`); `action` and `owner`: what to do, and by whom."""

    kind: str
    # Further kinds found in the same deal, so that a deal is told once.
    also: tuple[str, ...] = ()
    severity: Severity = "medium"
    title: str
    detail: str = ""
    deal: DealRef | None = None
    action: str | None = None
    owner: str | None = None
    due: str | None = None
    # Whether it was not there in the report before.
    new: bool | None = None


class Metric(Frozen):
    """`value` is as it should be read; `change` is against the period or the report before."""

    label: str
    value: str
    change: str | None = None


class Task(Frozen):
    what: str
    who: str | None = None
    due: str | None = None


class Changes(Frozen):
    """Against the last report of the same skill, `since`; counts of findings."""

    since: str | None = None
    new: int | None = None
    resolved: int | None = None
    still: int | None = None
    notes: tuple[str, ...] = ()


class Report(Frozen):
    title: str
    summary: str = ""
    period: str | None = None
    metrics: tuple[Metric, ...] = ()
    findings: tuple[Finding, ...] = ()
    changes: Changes | None = None
    tasks: tuple[Task, ...] = ()
    # Said below it, such as that a demo model wrote it.
    note: str | None = None

    @staticmethod
    def read(value: Any) -> "Report | None":
        """None where the value is something else: that is shown as the JSON it is."""
        try:
            return Report.model_validate(value)
        except ValidationError:
            return None


class Occasion(Frozen):
    """The run behind an output, as far as its readers care; `at` is in their time zone.

    `link` leads to the full report.
    """

    run_id: str
    skill: str
    workspace: str
    at: datetime
    status: RunStatus = "succeeded"
    error: Failure | None = None
    link: str | None = None
    by_demo: bool = False


class PreviousOutput(Frozen):
    run_id: str
    completed_at: datetime
    output: Any = None
