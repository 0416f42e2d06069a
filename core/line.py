"""What the log says of a step, before it has an id."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from core.effects import NOTIFY
from core.errors import ChildFailed
from core.event import EventKind
from core.history import ChildClosed, Closed, Json
from core.llm import Capability
from core.run import Failure
from core.shown import milliseconds, shown, shown_arguments, shown_failure, shown_reply
from core.sync import ANNOUNCE, PLAN, READ, SYNC_COMPLETED

BATCH_NAME = re.compile(r"(?P<path>.+)\[(?P<lo>\d+)\.\.(?P<hi>\d+)\]")
LOST = Failure(code="attempt_lost", message="the attempt ended and left no word of why")
TIMED_OUT = "run_timed_out"
UNREASONED = "terminated by user via frontend"  # what the server writes where nobody gave a reason
# None left in the month; all of it held by calls under way.
NO_BUDGET = ("budget_exceeded", "budget_crowded")
CAPABILITIES: tuple[str, ...] = get_args(Capability)
TURN = re.compile(r"(?P<whole>.+)\.turn(?P<number>\d+)")


@dataclass(slots=True)
class Open:
    """A step under way; `told` is the latest of its attempts the log has spoken of."""

    step: str
    kind: str
    at: datetime
    activity: str | None = None
    run: str | None = None  # of a child run
    attempt: int | None = None
    told: int = 1

    @property
    def asks_a_model(self) -> bool:
        return self.kind in CAPABILITIES


@dataclass(frozen=True, slots=True)
class Line:
    kind: EventKind
    step: str | None = None
    attempt: int | None = None
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Attempt `attempt` of an activity; told at most once, whatever it is learnt from."""

    scheduled: int
    attempt: int


def started(step: str, kind: str, **data: Any) -> Line:
    known = {name: value for name, value in data.items() if value is not None}
    return Line("step.started", step, 1, {"kind": kind, **known})


def work_of(activity: str, request: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind of step that an activity is for, and what to say of it as it begins."""
    if activity == NOTIFY:
        return "notify", {"channel": request.get("channel")}
    if activity in (PLAN, READ):
        return "sync", {"source": request.get("source"), "type": request.get("kind")}
    if activity == ANNOUNCE:
        return "event", {"event": SYNC_COMPLETED}
    return "compute", {"tool": request.get("tool", activity), **shown_arguments(request)}


def finished(step: Open, at: datetime, data: Mapping[str, Any]) -> Line:
    took = {"duration_ms": milliseconds(step.at, at)}
    return Line("step.finished", step.step, step.attempt, {**data, **took})


def failed(
    step: Open, at: datetime, failure: Failure, data: Mapping[str, Any] | None = None
) -> Line:
    took = {"duration_ms": milliseconds(step.at, at)}
    told = {**shown_failure(failure), **(data or {}), **took}
    return Line("step.failed", step.step, step.attempt, told)


def cancelled(step: Open, at: datetime) -> Line:
    took = {"duration_ms": milliseconds(step.at, at)}
    return Line("step.cancelled", step.step, step.attempt, took)


def answered(step: Open, at: datetime, reply: Json) -> Line:
    took = {"duration_ms": milliseconds(step.at, at)}
    data = {"capability": step.kind, **shown_reply(reply.fields()), **took}
    return Line("model.called", step.step, step.attempt, data)


def unaffordable(step: Open, failure: Failure) -> Line:
    """Not a failure: the run asks again as soon as there is budget."""
    data = {"kind": step.kind, "for": "budget", "message": failure.message}
    until = failure.data.get("resets_at")
    return Line("step.waiting", step.step, step.attempt, {**data, "until": until})


def turn_of(path: str, kind: str) -> tuple[str | None, int | None]:
    """The loop that a model call belongs to, and which of its turns it is."""
    match = TURN.fullmatch(path) if kind == "reason" else None
    return (match["whole"], int(match["number"])) if match else (None, None)


def child_failed(step: Open, event: ChildClosed, why: Failure) -> Line:
    if step.kind == "batch":
        return failed(step, event.at, why)
    message = f"run {step.run} failed: {why.message}"
    data = {"run_id": step.run, "code": why.code}
    return failed(step, event.at, Failure(code=ChildFailed.code, message=message, data=data))


def batch_ended(step: Open, at: datetime, output: Json) -> Line:
    result = output.fields()
    counts = {
        "items": len(result.get("outputs", ())),
        "failed_items": len(result.get("errors", ())),
    }
    if result.get("failed"):
        return failed(step, at, Failure.model_validate(result["failed"]), counts)
    return finished(step, at, counts)


def batch_closed(batch: Open, event: Closed) -> Line:
    if event.how == "completed":
        return batch_ended(batch, event.at, event.output)
    if event.how == "cancelled":
        return cancelled(batch, event.at)
    return failed(batch, event.at, failure_of_run(event))


def run_closed(began: datetime, event: Closed) -> Line:
    took = {"duration_ms": milliseconds(began, event.at)}
    if event.how == "completed":
        return Line("run.succeeded", data={**shown(event.output), **took})
    if event.how == "cancelled":
        return Line("run.cancelled", data=took)
    failure = failure_of_run(event)
    kind = "run.timed_out" if failure.code == TIMED_OUT else "run.failed"
    return Line(kind, failure.step, failure.attempts, {**shown_failure(failure), **took})


def bounds_of(batch: str) -> dict[str, int]:
    match = BATCH_NAME.fullmatch(batch)
    return {"lo": int(match["lo"]), "hi": int(match["hi"])} if match else {}


def failure_of_run(event: Closed) -> Failure:
    if event.how == "timed_out":
        return Failure(code=TIMED_OUT, message="the run took longer than it may")
    if event.how == "terminated":
        said = event.reason if event.reason != UNREASONED else ""
        return Failure(code="terminated", message=said or "the run was terminated from outside")
    return event.failure or LOST


def only(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: fields[name] for name in names if fields.get(name) is not None}


def asked_by(reason: str) -> dict[str, Any]:
    """The gateway writes the actor into the reason as `kind:id`; others write what they like."""
    kind, _, name = reason.partition(":")
    if kind in ("user", "key", "system") and name:
        return {"actor": {"kind": kind, "id": name}}
    return {"reason": reason} if reason else {}
