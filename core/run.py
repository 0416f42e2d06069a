from datetime import datetime
from typing import Any, Literal, NewType

from pydantic import Field

from core.duration import Duration
from core.flow import Flow
from core.model import Frozen
from core.tool import Actor, Mode

RunId = NewType("RunId", str)
RunStatus = Literal[
    "queued", "running", "paused", "waiting", "succeeded", "failed", "cancelled", "timed_out"
]
ENDED: tuple[RunStatus, ...] = ("succeeded", "failed", "cancelled", "timed_out")
MOST_DEEP = 8  # runs that started each other, one below the other
Trigger = Literal["manual", "schedule", "event", "webhook", "skill", "retry"]


class Failure(Frozen):
    """Why a step or a run failed, as its reader sees it."""

    code: str
    message: str
    step: str | None = None
    attempts: int | None = None
    data: dict[str, Any] = Field(default_factory=dict[str, Any])


class Waiting(Frozen):
    kind: Literal["approval", "event", "timer", "budget"]
    step: str
    until: datetime | None = None
    message: str | None = None
    # Where it is not this run but one that it started.
    run: str | None = None


class Workspace(Frozen):
    id: str
    name: str
    timezone: str = "UTC"


class RunOrigin(Frozen):
    """Travels in the memo of every run, so that the interceptor knows it without its input."""

    workspace: Workspace
    skill: str
    version: str
    lineage: str
    trigger: Trigger = "manual"
    actor: Actor
    parent: str | None = None
    depth: int = 0
    mode: Mode = "live"
    # The run whose finished steps are given to this one (a retry), and where in it to look.
    given_by: str | None = None
    # Versions of the skills this run may start as children, as they were when it began.
    pins: dict[str, str] = Field(default_factory=dict[str, str])
    allowed_tools: tuple[str, ...] | None = None
    # Tokens that all model calls of the run may use together.
    max_tokens: int | None = None
    # Of SKILL.md's body: a model that was told something else was asked something else.
    instructions_digest: str = ""
    # Whether a person is asked before any model of this workspace writes.
    approve_writes: Literal["never", "always"] = "never"
    # Where its model calls wait for a worker; None is the run's own queue.
    model_queue: str | None = None
    # Whether somebody outside is told how it ends; whoever notices the end begins that.
    callback: bool = False


class FlowInput(Frozen):
    """The one argument of a skill that is a flow."""

    flow: Flow
    inputs: dict[str, Any]
    event: dict[str, Any] | None = None
    timeout: Duration | None = None


class StepView(Frozen):
    path: str
    kind: str
    status: Literal["running", "retrying", "waiting", "succeeded", "failed", "skipped", "cancelled"]
    started_at: datetime | None = None
    completed_at: datetime | None = None
    attempts: int = 1
    given: bool = False
    error: Failure | None = None


class TokenUsage(Frozen):
    input: int = 0
    output: int = 0
    total: int = 0


class Callback(Frozen):
    """Whether somebody outside was told how the run ended, and what kept it from being."""

    status: Literal["pending", "delivered", "gave_up"]
    attempts: int = 0
    last_error: str | None = None
    delivered_at: datetime | None = None


class Run(Frozen):
    """A row of `runs`, opened; `steps` and `links` are filled where one run is read."""

    run_id: str
    workspace_id: str
    skill: str
    version: str
    status: RunStatus
    trigger: Trigger
    actor: Actor
    label: str | None = None
    subject_kind: str | None = None
    subject_id: str | None = None
    parent: str | None = None
    lineage: str
    retry_of: str | None = None
    inputs: dict[str, Any] = Field(default_factory=dict[str, Any])
    output: Any = None
    error: Failure | None = None
    waiting_for: tuple[Waiting, ...] = ()
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    duration_ms: int | None = None
    token_usage: TokenUsage = TokenUsage()
    cost: float | None = None
    problem: str | None = None
    steps: tuple[StepView, ...] = ()
    links: dict[str, str] = Field(default_factory=dict[str, str])
    callback: Callback | None = None
