"""What each event of a history says, and the steps it leaves open."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from core.effects import BATCH, CHILD, DECIDE, EVENT, GIVEN, MODEL, PAUSE, RECORD, RESUME
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
    Note,
    Scheduled,
    Signalled,
    TimerEnded,
    TimerSet,
)
from core.line import (
    LOST,
    NO_BUDGET,
    Line,
    Open,
    Retry,
    answered,
    asked_by,
    batch_closed,
    batch_ended,
    bounds_of,
    cancelled,
    child_failed,
    failed,
    finished,
    only,
    run_closed,
    started,
    turn_of,
    unaffordable,
    work_of,
)
from core.run import Failure
from core.shown import shown

Notes = Mapping[str, Mapping[int, Note]]  # by activity id, then attempt
STEP_PATH = re.compile(r"[a-z_][a-z0-9_]*(\[\d+\])?(#\d+)?(\.[a-z_][a-z0-9_]*(\[\d+\])?(#\d+)?)*")


class Fold:
    def __init__(self) -> None:
        self.open: dict[int | str, Open] = {}  # by history event; approvals and children by name
        self._already: Mapping[int, int] = {}
        self._asked: dict[int, dict[str, Any]] = {}
        self._began: datetime | None = None
        self._batch: str | None = None
        self._given_by: str | None = None
        self._waiting: list[Any] = []
        self._kept: set[str] = set()
        self._paused = False
        self._cancelling = False

    def next_part(self, told: Mapping[int, int]) -> None:
        """`told` are the attempts that the reader knows of, by history event of this part."""
        self._already = told
        self.open.clear()
        self._asked.clear()

    def lines(self, event: Happened, notes: Notes) -> Iterator[Line | Retry]:
        match event:
            case Scheduled():
                yield from self._scheduled(event)
            case Attempted() if event.scheduled in self.open:
                self.open[event.scheduled].attempt = event.attempt
            case Completed() | Failed() | Cancelled() if event.scheduled in self.open:
                yield from self._attempts(event.scheduled, event.at, notes)
                yield from self._activity_ended(event)
            case ChildInitiated() | ChildClosed():
                yield from self._child(event)
            case TimerSet() | TimerEnded():
                yield from self._timer(event)
            case Marked() if event.type == RECORD:
                yield from self._recorded(event.at, event.result.fields())
            case Began() | Closed():
                yield from self._bounds(event, notes)
            case Signalled() | Asked() | Answered() | CancelAsked():
                yield from self._told(event)
            case _:
                pass

    # Activities

    def _scheduled(self, event: Scheduled) -> Iterator[Line]:
        request = event.request.fields()
        if event.type == GIVEN:
            return
        if event.type == RECORD:
            yield from self._recorded(event.at, request)
        elif event.type == CHILD:
            path, run = str(request.get("path")), request.get("run")
            self._begin(event.id, path, "skill", event.at, event.activity)
            self.open[event.id].run = run
            yield started(path, "skill", skill=request.get("skill"), run_id=run)
        elif event.type == MODEL:
            yield from self._model_asked(event, request)
        elif event.type == EVENT:
            yield from self._awaited(event, request)
        else:
            yield from self._settled(event.at, request.get("settled", ()))
            kind, about = work_of(event.type, request)
            self._begin(event.id, event.activity, kind, event.at, event.activity)
            yield started(event.activity, kind, **about)

    def _model_asked(self, event: Scheduled, request: dict[str, Any]) -> Iterator[Line]:
        """A loop begins with its first call: the whole has no activity of its own."""
        yield from self._settled(event.at, request.get("settled", ()))
        path, kind = request["context"]["path"], request["capability"]
        whole, turn = turn_of(path, kind)
        if whole is not None and f"whole {whole}" not in self.open:
            self._begin(f"whole {whole}", whole, kind, event.at)
            yield started(whole, kind)
        self._close(path)  # it waited for budget
        self._begin(event.id, path, kind, event.at, event.activity)
        yield started(path, kind, turn=turn, model=request.get("model"))

    def _awaited(self, event: Scheduled, request: dict[str, Any]) -> Iterator[Line]:
        """A wait looks more than once, and begins with the first look."""
        yield from self._settled(event.at, request.get("settled", ()))
        path = request["context"]["path"]
        known = self._close(path)
        self.open[event.id] = known or Open(path, "wait", event.at)
        if known is None:
            yield started(path, "wait", event=request["event"], until=request.get("until"))

    def _attempts(self, scheduled: int, at: datetime, notes: Notes) -> Iterator[Retry]:
        """Those not told yet, up to the last; of one that never closed only the notes know."""
        step = self.open[scheduled]
        last = step.attempt if step.activity is not None else 1
        if last is None:
            noted = notes.get(step.activity or "", {}).values()
            last = max((n.attempt + 1 for n in noted if n.will_retry and n.at <= at), default=1)
        for attempt in range(step.told + 1, last + 1):
            yield Retry(scheduled, attempt)

    def _activity_ended(self, event: Completed | Failed | Cancelled) -> Iterator[Line]:
        step = self.open.pop(event.scheduled)
        match event:
            case Completed() if step.kind == "skill":
                # The child run itself comes next.
                run = step.run
                self.open[f"child {run}"] = Open(step.step, "skill", step.at, run=run)
            case Completed() if step.kind == "wait":
                came = event.output.fields().get("event")
                if came is None:
                    self.open[f"event {step.step}"] = step
                else:
                    yield finished(step, event.at, shown(Json(to_json(came))))
            case Completed() if step.asks_a_model:
                yield answered(step, event.at, event.output)
            case Completed():
                yield finished(step, event.at, shown(event.output))
            case Failed() if step.asks_a_model and event.failure.code in NO_BUDGET:
                self._begin(f"budget {step.step}", step.step, step.kind, step.at)
                yield unaffordable(step, event.failure)
            case Failed():
                failure = event.failure.model_copy(update={"attempts": step.attempt})
                yield failed(step, event.at, failure)
            case Cancelled():
                yield cancelled(step, event.at)

    # Child runs and batches

    def _child(self, event: ChildInitiated | ChildClosed) -> Iterator[Line]:
        if isinstance(event, ChildClosed):
            step = self.open.pop(event.initiated, None)
            if step is not None:
                yield self._child_closed(step, event)
            return
        prepared = self.open.pop(f"child {event.workflow}", None)
        if prepared is not None:
            self.open[event.id] = prepared
            return
        name = event.workflow.partition("/")[2] or event.workflow
        kind = "batch" if event.type == BATCH else "skill"
        self._begin(event.id, name, kind, event.at)
        if kind == "batch":
            yield started(name, kind, **bounds_of(name))
        else:
            self.open[event.id].run = event.workflow
            yield started(name, kind, skill=event.type, run_id=event.workflow)

    def _child_closed(self, step: Open, event: ChildClosed) -> Line:
        if event.how == "cancelled":
            return cancelled(step, event.at)
        if event.failure is not None:
            return child_failed(step, event, event.failure)
        if step.kind == "batch":
            return batch_ended(step, event.at, event.output)
        return finished(step, event.at, shown(event.output))

    # Waiting for time, for people, and what ended without an activity

    def _timer(self, event: TimerSet | TimerEnded) -> Iterator[Line]:
        if isinstance(event, TimerSet):
            path = event.summary
            if path and STEP_PATH.fullmatch(path) and f"approval {path}" not in self.open:
                self._begin(event.id, path, "wait", event.at)
                yield started(path, "wait", until=event.until.isoformat())
            return
        step = self.open.pop(event.started, None)
        if step is not None and event.how == "fired":
            yield finished(step, event.at, {})
        elif step is not None:
            yield cancelled(step, event.at)

    def _recorded(self, at: datetime, record: dict[str, Any]) -> Iterator[Line]:
        yield from self._settled(at, record.get("settled", ()))
        status, waiting = record.get("status"), record.get("waiting_for", [])
        for wait in waiting:
            if wait["kind"] == "approval" and f"approval {wait['step']}" not in self.open:
                self._begin(f"approval {wait['step']}", wait["step"], "approve", at)
                message, until = wait.get("message"), wait.get("until")
                yield started(wait["step"], "approve", message=message, until=until)
        if status == "waiting" and waiting != self._waiting:
            yield Line("run.waiting", data={"waiting_for": waiting})
        elif status == "running" and self._waiting:
            yield Line("run.running")
        self._waiting = waiting if status == "waiting" else []

    def _settled(self, at: datetime, settled: Iterable[dict[str, Any]]) -> Iterator[Line]:
        for told in settled:
            path, kind = told["path"], told["kind"]
            known = self._close(path)
            step = known or Open(path, kind, at)
            match told["status"]:
                case "skipped":
                    yield Line("step.skipped", path, data={"kind": kind})
                case "failed":
                    failure = Failure.model_validate(told.get("error") or LOST)
                    yield failed(step, at, failure, {"kind": kind})
                case _ if told.get("given"):
                    self._kept.add(path)
                    data = {"kind": kind, "given": True, "run_id": self._given_by}
                    yield Line("step.finished", path, data=data)
                case _ if known is not None:
                    yield finished(known, at, {"kind": kind})
                case _ if path not in self._kept:  # a step whose one model call was given
                    yield Line("step.finished", path, data={"kind": kind})
                case _:
                    pass

    # People and operators

    def _told(self, event: Signalled | Asked | Answered | CancelAsked) -> Iterator[Line]:
        match event:
            case Signalled() if event.name in (PAUSE, RESUME):
                if self._paused != (event.name == PAUSE):
                    self._paused = not self._paused
                    kind = "run.paused" if self._paused else "run.resumed"
                    yield Line(kind, data=only(event.argument.fields(), "actor"))
            case Asked() if event.name == DECIDE:
                self._asked[event.id] = event.argument.fields()
            case Answered() if event.accepted in self._asked and event.failure is None:
                yield from self._decided(event, self._asked.pop(event.accepted))
            case CancelAsked() if not self._cancelling:
                self._cancelling = True
                yield Line("run.cancel_requested", data=asked_by(event.reason))
            case _:
                pass

    def _decided(self, event: Answered, decision: dict[str, Any]) -> Iterator[Line]:
        path = event.output.fields().get("step") or decision.get("step")
        yield Line("approval.decided", path, data=only(decision, "verdict", "actor", "comment"))
        if decision.get("verdict") == "approved" and path is not None:
            step = self._close(path) or Open(path, "approve", event.at)
            yield finished(step, event.at, shown(event.output))

    # The run itself

    def _bounds(self, event: Began | Closed, notes: Notes) -> Iterator[Line | Retry]:
        if isinstance(event, Began):
            self._began = self._began or event.at
            if not event.continued:
                yield self._run_began(event)
            return
        if self._batch is not None:
            yield from self._settled(event.at, event.output.fields().get("settled", ()))
        for key, step in list(self.open.items()):
            if isinstance(key, int) and step.activity is not None:
                yield from self._attempts(key, event.at, notes)
            del self.open[key]
            yield cancelled(step, event.at)
        if event.how != "continued":
            yield self._run_ended(event)

    def _run_began(self, event: Began) -> Line:
        origin = event.origin.fields()
        self._given_by = origin.get("given_by")
        batch = event.workflow.partition("/")[2]
        if batch:
            self._batch = batch
            return started(batch, "batch", **bounds_of(batch))
        names = ("skill", "version", "trigger", "actor", "parent", "given_by", "mode")
        return Line("run.started", data={"skill": event.type, **only(origin, *names)})

    def _run_ended(self, event: Closed) -> Line:
        began = self._began or event.at
        if self._batch is not None:
            return batch_closed(Open(self._batch, "batch", began), event)
        return run_closed(began, event)

    # Steps

    def _begin(
        self, key: int | str, path: str, kind: str, at: datetime, activity: str | None = None
    ) -> None:
        told = self._already.get(key, 1) if isinstance(key, int) else 1
        self.open[key] = Open(path, kind, at, activity, told=told)

    def _close(self, path: str) -> Open | None:
        """The step at this path that waits without an activity, if there is one."""
        for key, step in self.open.items():
            if step.step == path and step.activity is None:
                return self.open.pop(key)
        return None
