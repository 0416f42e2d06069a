from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from perdure.model import Answer

ENDED = frozenset({"succeeded", "failed", "cancelled", "timed_out"})
ENDINGS = frozenset(f"run.{status}" for status in ENDED)
STEP_ENDINGS = frozenset({"step.finished", "step.failed", "step.cancelled"})


class Failure(Answer):
    """Why a run or a step failed."""

    code: str = "failed"
    message: str = ""
    step: str | None = None
    attempts: int | None = None
    data: dict[str, Any] = Field(default_factory=dict[str, Any])


class Waiting(Answer):
    """What a waiting run waits for; `kind` is approval, event, timer or budget."""

    kind: str
    step: str
    until: datetime | None = None
    message: str | None = None
    run: str | None = None


class Step(Answer):
    path: str
    kind: str = ""
    status: str = ""
    started_at: datetime | None = None
    completed_at: datetime | None = None
    attempts: int = 1
    given: bool = False
    error: Failure | None = None


class TokenUsage(Answer):
    """`total` is of all models; what they read from a cache is in `input`."""

    input: int = 0
    output: int = 0
    total: int = 0


class RunSummary(Answer):
    """A run as lists show it."""

    run_id: str
    status: str
    skill: str = ""
    label: str | None = None
    trigger: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    duration_ms: int | None = None
    token_usage: TokenUsage = TokenUsage()
    cost: float | None = None
    error: Failure | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


class Callback(Answer):
    """Whether somebody outside was told the end: pending, delivered or gave_up."""

    status: str
    attempts: int = 0
    last_error: str | None = None
    delivered_at: datetime | None = None


class Run(RunSummary):
    """The whole run."""

    workspace_id: str = ""
    version: str | None = None
    lineage: str | None = None
    retry_of: str | None = None
    parent: str | None = None
    inputs: dict[str, Any] = Field(default_factory=dict[str, Any])
    output: Any = None
    waiting_for: tuple[Waiting, ...] = ()
    problem: Any = None
    steps: tuple[Step, ...] = ()
    links: dict[str, str] = Field(default_factory=dict[str, str])
    callback: Callback | None = None


class Started(Answer):
    """The answer to a start or an action; the rest is there where the run ended in time."""

    run_id: str
    status: str
    duration_ms: int | None = None
    output: Any = None
    error: Failure | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


class LogEvent(Answer):
    """One line of a run's log. News that is not kept, such as progress, has no `id`."""

    id: str | None = None
    at: datetime | None = None
    kind: str
    step: str | None = None
    attempt: int | None = None
    data: dict[str, Any] = Field(default_factory=dict[str, Any])

    @property
    def is_ending(self) -> bool:
        return self.kind in ENDINGS

    def ends_step(self, step: str | None) -> bool:
        return step is not None and self.step == step and self.kind in STEP_ENDINGS
