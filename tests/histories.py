"""Histories written by hand, for what reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import to_json

from core.effects import BATCH, CHILD, DECIDE, MODEL, PAUSE, RECORD, RESUME, ModelReply
from core.history import (
    Answered,
    Asked,
    Attempted,
    Began,
    CancelAsked,
    Cancelled,
    ChildClosed,
    ChildInitiated,
    Closed,
    Completed,
    Failed,
    Happened,
    Json,
    Marked,
    Scheduled,
    Signalled,
    TimerEnded,
    TimerSet,
)
from core.llm import ModelAnswer, ModelTurn, ToolUse, Usage
from core.run import Failure

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
TICK = timedelta(milliseconds=10)
ACTOR = {"kind": "user", "id": "ada"}
ORIGIN = {
    "workspace": {"id": "w", "name": "W"},
    "skill": "report",
    "version": "v1",
    "lineage": "r1",
    "trigger": "manual",
    "actor": ACTOR,
}


def at(event: int) -> datetime:
    return START + TICK * event


@dataclass(frozen=True)
class AttemptNote:
    path: str
    attempt: int
    failure: Failure
    will_retry: bool
    at: datetime


def note(path: str, attempt: int, event: int, *, retry: str = "yes") -> AttemptNote:
    failure = Failure(code="tool_failed", message=f"try {attempt}", attempts=attempt)
    return AttemptNote(path, attempt, failure, retry == "yes", at(event))


def notes(*written: AttemptNote) -> dict[str, dict[int, AttemptNote]]:
    found: dict[str, dict[int, AttemptNote]] = {}
    for each in written:
        found.setdefault(each.path, {})[each.attempt] = each
    return found


def reply(
    text: str = "", *uses: str, cost: int | None = 2_000_000, tokens: int = 100, **more: Any
) -> ModelReply:
    """`tokens` is what was read; what was written is a tenth of it."""
    asked = tuple(ToolUse(id=name, name=name, arguments={"id": 7}) for name in uses)
    answer = ModelAnswer(
        turn=ModelTurn(text=text, tool_uses=asked),
        stop="tools" if uses else "end",
        usage=Usage(input=tokens, output=tokens // 10),
        model="demo/small",
    )
    return ModelReply(answer=answer, cost_nano=cost, latency_ms=80, key_source="platform", **more)


@dataclass
class History:
    """Each call adds an event and gives its id."""

    workflow: str = "r1"
    events: list[Happened] = field(default_factory=list)

    def add(self, kind: type[Happened], *rest: Any) -> int:
        number = len(self.events) + 1
        self.events.append(kind(number, at(number), *rest))
        return number

    def began(self, continued: str = "no", **origin: Any) -> int:
        told = Json(to_json({**ORIGIN, **origin}))
        return self.add(Began, self.workflow, "report", told, continued == "yes")

    def tool(self, path: str, settled: list[dict[str, Any]] | None = None, **more: Any) -> int:
        request = {"tool": "echo", "arguments": {"value": 1}, "settled": settled or [], **more}
        return self.add(Scheduled, path, "tool.echo", Json(to_json(request)))

    def asks(
        self,
        path: str,
        capability: str = "reason",
        activity: str | None = None,
        settled: list[dict[str, Any]] | None = None,
    ) -> int:
        context = {"path": path, "run": self.workflow}
        request = {"capability": capability, "context": context, "settled": settled or []}
        return self.add(Scheduled, activity or path, MODEL, Json(to_json(request)))

    def told(self, scheduled: int, reply: ModelReply, attempt: int = 1) -> int:
        return self.done(scheduled, reply.model_dump(mode="json"), attempt)

    def activity(self, path: str, type: str, request: Any = None) -> int:
        return self.add(Scheduled, path, type, Json(to_json(request)))

    def tried(self, scheduled: int, attempt: int = 1) -> int:
        return self.add(Attempted, scheduled, attempt)

    def done(self, scheduled: int, output: Any = None, attempt: int = 1) -> int:
        self.tried(scheduled, attempt)
        return self.add(Completed, scheduled, Json(to_json(output)))

    def fails(self, scheduled: int, attempt: int = 1, **more: Any) -> int:
        self.tried(scheduled, attempt)
        told = {"code": "tool_failed", "message": f"try {attempt}", **more}
        failure = Failure.model_validate(told)
        return self.add(Failed, scheduled, failure)

    def cancelled(self, scheduled: int) -> int:
        return self.add(Cancelled, scheduled)

    def timer(self, summary: str | None) -> int:
        until = at(len(self.events) + 1) + timedelta(minutes=5)
        return self.add(TimerSet, summary, until)

    def timer_ends(self, started: int, how: str = "fired") -> int:
        return self.add(TimerEnded, started, how)

    def record(self, status: str, **rest: Any) -> int:
        return self.add(Marked, RECORD, Json(to_json({"status": status, **rest})))

    def pause(self) -> int:
        return self.add(Signalled, PAUSE, Json(to_json({"actor": ACTOR})))

    def resume(self) -> int:
        return self.add(Signalled, RESUME, Json(to_json({"actor": ACTOR})))

    def decision(self, step: str, verdict: str) -> int:
        asked = {"verdict": verdict, "comment": "fine", "actor": ACTOR}
        accepted = self.add(Asked, DECIDE, Json(to_json(asked)))
        answer = {"step": step, "approved": verdict == "approved"}
        return self.add(Answered, accepted, Json(to_json(answer)), None)

    def refused_decision(self) -> int:
        asked = {"step": "ask", "verdict": "approved", "actor": ACTOR}
        accepted = self.add(Asked, DECIDE, Json(to_json(asked)))
        failure = Failure(code="not_pending", message="too late")
        return self.add(Answered, accepted, Json(), failure)

    def child(self, path: str, run: str) -> int:
        prepared = self.activity(f"{path}.child", CHILD, {"path": path, "run": run, "skill": "s"})
        self.done(prepared, {"inputs": {}})
        return self.add(ChildInitiated, run, "s")

    def batch(self, name: str) -> int:
        return self.add(ChildInitiated, f"{self.workflow}/{name}", BATCH)

    def child_done(self, initiated: int, output: Any) -> int:
        return self.add(ChildClosed, initiated, "completed", Json(to_json(output)), None)

    def child_failed(self, initiated: int) -> int:
        failure = Failure(code="tool_failed", message="no answer")
        return self.add(ChildClosed, initiated, "failed", Json(), failure)

    def cancel(self, reason: str = "") -> int:
        return self.add(CancelAsked, reason)

    def closes(
        self, how: str = "completed", output: Any = None, failure: Failure | None = None
    ) -> int:
        return self.add(Closed, how, Json(to_json(output)), failure, "", None)
