"""Where each step of a run stands, folded from its log."""

from collections.abc import Iterable
from typing import Any, Literal

from core.event import LogEvent
from core.run import Failure, StepView

Status = Literal["succeeded", "failed", "skipped", "cancelled"]
ENDED: dict[str, Status] = {
    "step.finished": "succeeded",
    "step.failed": "failed",
    "step.skipped": "skipped",
    "step.cancelled": "cancelled",
}
PATIENT = ("wait", "approve")


class Steps:
    """In the order they were first heard of."""

    def __init__(self) -> None:
        self._steps: dict[str, StepView] = {}

    def hear(self, event: LogEvent) -> None:
        path = event.step
        if path is None:
            return
        if event.kind == "step.started":
            kind = event.data.get("kind", "compute")
            status = "waiting" if kind in PATIENT else "running"
            self._steps[path] = StepView(path=path, kind=kind, status=status, started_at=event.at)
        elif event.kind == "step.retrying" and path in self._steps:
            self._change(path, status="retrying", attempts=event.attempt)
        elif event.kind in ENDED:
            self._end(path, event)

    def views(self) -> tuple[StepView, ...]:
        return tuple(self._steps.values())

    def _end(self, path: str, event: LogEvent) -> None:
        data = event.data
        if path not in self._steps:
            kind = data.get("kind", "compute")
            self._steps[path] = StepView(path=path, kind=kind, status="running")
        error = None
        if event.kind == "step.failed":
            known = {name: data[name] for name in ("attempts", "data") if name in data}
            error = Failure(code=data["code"], message=data["message"], step=path, **known)
        self._change(
            path,
            status=ENDED[event.kind],
            completed_at=event.at,
            attempts=event.attempt or self._steps[path].attempts,
            given=bool(data.get("given")),
            error=error,
        )

    def _change(self, path: str, **changes: Any) -> None:
        self._steps[path] = self._steps[path].model_copy(update=changes)


def steps_of(events: Iterable[LogEvent]) -> tuple[StepView, ...]:
    steps = Steps()
    for event in events:
        steps.hear(event)
    return steps.views()
