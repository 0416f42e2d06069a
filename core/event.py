import re
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

EVENT_NAME = re.compile(r"[a-z][a-z0-9_.]{0,63}")
MAX_EVENT_BYTES = 256 * 1024  # of its data, as JSON


class Event(Frozen):
    """Something that happened, as expressions see it."""

    id: str
    name: str
    data: dict[str, Any]
    at: datetime


class Triggered(Frozen):
    skill_id: str
    run_id: str


class Skipped(Frozen):
    """A skill that has a trigger for the event, and why it was not started."""

    skill_id: str
    code: str
    message: str


class Published(Frozen):
    """What an event started; the same however often it is told."""

    event_id: str
    triggered: tuple[Triggered, ...] = ()
    skipped: tuple[Skipped, ...] = ()


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
