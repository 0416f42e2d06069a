"""Where each step of a run stands, and what its models took, folded from its log."""

from typing import Any, Literal

from core.budget import NANO
from core.event import LogEvent
from core.run import Failure, StepView, TokenUsage

Status = Literal["succeeded", "failed", "skipped", "cancelled"]
ENDED: dict[str, Status] = {
    "step.finished": "succeeded",
    "model.called": "succeeded",
    "step.failed": "failed",
    "step.skipped": "skipped",
    "step.cancelled": "cancelled",
}
PATIENT = ("wait", "approve")


class Spending:
    """What the models of a run took; the cost is of the calls whose price is known."""

    def __init__(self) -> None:
        self.tokens = TokenUsage()
        self._nano: int | None = None

    def add(self, called: LogEvent) -> None:
        # Paid by an earlier run. Only an attempt that was lost leaves an answer of this one's.
        if called.data["stored"] and called.attempt in (None, 1):
            return
        known, tokens = self.tokens, called.data["tokens"]
        output = known.output + tokens["output"]
        total = known.total + sum(tokens.values())
        self.tokens = TokenUsage(input=total - output, output=output, total=total)
        if called.data["cost"] is not None:
            self._nano = (self._nano or 0) + round(called.data["cost"] * NANO)

    @property
    def cost(self) -> float | None:
        return None if self._nano is None else self._nano / NANO


class Steps:
    """In the order they were first heard of."""

    def __init__(self) -> None:
        self._steps: dict[str, StepView] = {}
        self.spent = Spending()

    def hear(self, event: LogEvent) -> None:
        path = event.step
        if path is None:
            return
        if event.kind == "step.started":
            kind = event.data.get("kind", "compute")
            status = "waiting" if kind in PATIENT else "running"
            self._steps[path] = StepView(path=path, kind=kind, status=status, started_at=event.at)
        elif event.kind == "step.waiting" and path in self._steps:
            self._change(path, status="waiting")
        elif event.kind == "step.retrying" and path in self._steps:
            self._change(path, status="retrying", attempts=event.attempt)
        elif event.kind in ENDED:
            self._end(path, event)
        if event.kind == "model.called":
            self.spent.add(event)

    def views(self) -> tuple[StepView, ...]:
        return tuple(self._steps.values())

    def _end(self, path: str, event: LogEvent) -> None:
        data = event.data
        if path not in self._steps:
            kind = data.get("kind") or data.get("capability") or "compute"
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
