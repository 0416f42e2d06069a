from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from core.model import Frozen
from core.run import Failure, RunStatus

EventKind = Literal[
    "run.started",
    "run.paused",
    "run.resumed",
    "run.waiting",
    "run.running",
    "run.cancel_requested",
    "run.succeeded",
    "run.failed",
    "run.cancelled",
    "run.timed_out",
    "step.started",
    "step.waiting",
    "step.retrying",
    "step.finished",
    "step.failed",
    "step.skipped",
    "step.cancelled",
    "model.called",
    "approval.decided",
]
ENDINGS: frozenset[EventKind] = frozenset(
    ("run.succeeded", "run.failed", "run.cancelled", "run.timed_out")
)


class LogEvent(Frozen):
    """A line of a run's log. `id` is the same whoever reads it, and whenever."""

    id: str
    at: datetime
    kind: EventKind
    step: str | None = None
    attempt: int | None = None
    data: dict[str, Any] = Field(default_factory=dict[str, Any])


class Outcome(Frozen):
    """How a run closed, by Temporal's own word."""

    status: RunStatus
    output: Any = None
    error: Failure | None = None
    closed_at: datetime
