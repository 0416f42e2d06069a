"""What the events of a log amount to, for somebody who watches."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from perdure.command.output import Piece, Styled
from perdure.command.spent import Spent, call_words
from perdure.command.tally import so_far

if TYPE_CHECKING:
    from perdure.run import LogEvent

# `signals[731]`, a batch of items `signals[0..199]`, and what is inside an item: `signals[3].ask`.
PLACE = re.compile(r"(?P<list>[^\[]+)\[(?P<lo>\d+)(?:\.\.(?P<hi>\d+))?\](?P<inside>.*)")
BETWEEN_COUNTS = timedelta(seconds=5)
STATE_OF = {
    "step.started": "running",
    "step.waiting": "waiting",
    "step.retrying": "retrying",
    "model.called": "succeeded",
    "step.finished": "succeeded",
    "step.failed": "failed",
    "step.skipped": "skipped",
    "step.cancelled": "cancelled",
}
SIGN: dict[str, Styled] = {
    "running": Styled("▸", "cyan"),
    "waiting": Styled("…", "yellow"),
    "retrying": Styled("↻", "yellow"),
    "succeeded": Styled("✓", "green"),
    "failed": Styled("✗", "red"),
    "skipped": Styled("–", "dim"),
    "cancelled": Styled("■", "yellow"),
}
ITEM_ENDS = ("step.finished", "step.failed", "step.skipped", "step.cancelled")
OPEN = ("running", "retrying", "waiting")
TURN = re.compile(r"(?P<whole>.+)\.turn\d+")
STATUS_OF = {
    "run.started": "running",
    "run.resumed": "running",
    "run.running": "running",
    "run.paused": "paused",
    "run.waiting": "waiting",
    "run.cancel_requested": "cancelling",
}


@dataclass
class StepProgress:
    name: str
    state: str = "running"
    began: datetime | None = None
    ended: datetime | None = None
    attempt: int = 1
    note: str = ""
    given: bool = False
    done: int = 0
    known: int = 0
    counted_at: datetime | None = None
    spent: Spent = field(default_factory=Spent)

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def lasted(self, now: datetime | None = None) -> timedelta | None:
        """None for what took no time worth saying, such as a step that only sets values."""
        end = self.ended or now
        return end - self.began if self.began and end and end > self.began else None


@dataclass
class Progress:
    """Folds events; `see` answers with the lines for where nothing on a screen can move."""

    run_id: str | None = None
    status: str = "queued"
    waiting: list[str] = field(default_factory=list[str])
    steps: dict[str, StepProgress] = field(default_factory=dict[str, StepProgress])
    spent: Spent = field(default_factory=Spent)

    def see(self, event: LogEvent) -> list[list[Piece]]:
        if event.kind == "model.called":
            self.spent.add(event)
        if event.step is not None and event.kind in STATE_OF:
            return self._see_step(event, event.step)
        return self._see_run(event)

    def _see_run(self, event: LogEvent) -> list[list[Piece]]:
        if event.kind == "approval.decided":
            return [[_decision(event)]]
        if event.kind not in STATUS_OF and not event.is_ending:
            return []
        self.status = STATUS_OF.get(event.kind) or event.kind.removeprefix("run.")
        self.waiting = waits_of(event.data, self.run_id)
        if self.status == "waiting":
            return [[Styled("… ", "yellow"), wait] for wait in self.waiting]
        if event.is_ending or self.status == "running":
            resumed = event.kind == "run.resumed"
            return [[SIGN["running"], f" resumed{by(event.data)}"]] if resumed else []
        return [[Styled("‖ ", "yellow"), f"{self.status}{by(event.data)}"]]

    def _see_step(self, event: LogEvent, path: str) -> list[list[Piece]]:
        place = PLACE.fullmatch(path)
        if place:
            return self._see_item(event, path, place)
        step = self._step(path, event)
        # A call of a model ended it already, as far as one can see.
        is_old = event.kind == "step.finished" and step.state == "succeeded"
        self._count(event, step)
        step.state = STATE_OF[event.kind]
        step.attempt = event.attempt or step.attempt
        step.given = bool(event.data.get("given"))
        step.note = step.note if is_old else _note(event)
        if not step.is_open:
            step.ended = event.at
        elif event.kind == "step.started":
            step.began = event.at
        return [] if is_old else [step_pieces(step)]

    def _count(self, event: LogEvent, step: StepProgress) -> None:
        """What a turn took counts also for the loop it belongs to."""
        if event.kind != "model.called":
            return
        step.spent.add(event)
        loop = TURN.fullmatch(step.name)
        if loop and loop["whole"] in self.steps:
            self.steps[loop["whole"]].spent.add(event)

    def _see_item(self, event: LogEvent, path: str, place: re.Match[str]) -> list[list[Piece]]:
        step = self._step(place["list"], event)
        first, last = int(place["lo"]), int(place["hi"] or place["lo"])
        step.known = max(step.known, last + 1)
        lines: list[list[Piece]] = []
        if event.kind == "model.called":
            step.spent.add(event)
        if event.kind in ("step.failed", "step.retrying", "step.waiting"):
            step.note = f"{path}: {_note(event)}"
            lines.append([SIGN[STATE_OF[event.kind]], f" {step.note}"])
        if place["inside"] or event.kind not in ITEM_ENDS:
            return lines
        step.done += last - first + 1
        if event.at and step.counted_at and event.at - step.counted_at >= BETWEEN_COUNTS:
            step.counted_at = event.at
            lines.append(step_pieces(step))
        return lines

    def _step(self, name: str, event: LogEvent) -> StepProgress:
        if name not in self.steps:
            self.steps[name] = StepProgress(name, began=event.at, counted_at=event.at)
        return self.steps[name]


def step_pieces(step: StepProgress, now: datetime | None = None) -> list[Piece]:
    pieces: list[Piece] = [SIGN[step.state], f" {step.name}"]
    if step.known:
        of = f" of {step.known} begun" if step.is_open else ""
        # The ends of items that are made of steps are not told one by one.
        done = step.done or (step.known if step.state == "succeeded" else 0)
        pieces.append(f"  {done} done{of}")
    if step.given:
        pieces.append(Styled("  kept from the run before", "dim"))
    elif lasted := step.lasted(now):
        pieces.append(Styled(f"  {in_words(lasted)}", "dim"))
    if step.note:
        pieces.append(f"  {step.note}")
    elif step.spent.words:
        pieces.append(Styled(f"  {step.spent.words}", "dim"))
    return pieces


def in_words(length: timedelta) -> str:
    seconds = length.total_seconds()
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def waits_of(data: dict[str, Any], run_id: str | None = None) -> list[str]:
    """A sentence for each; with `run_id`, what to type where it is a person who is waited for."""
    found = data.get("waiting_for")
    sentences: list[str] = []
    for wait in found if isinstance(found, list) else []:
        if not isinstance(wait, dict):
            continue
        sentences.append(f"waiting for {_wait(wait)}")
        if run_id and wait.get("kind") == "approval":
            whose = wait.get("run") or run_id
            sentences.append(f"  perdure runs approve {whose} --step {wait.get('step')}")
    return sentences


def local(at: datetime | None) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else ""


def by(data: dict[str, Any]) -> str:
    actor = data.get("actor")
    return f" by {actor.get('kind')} {actor.get('id')}" if isinstance(actor, dict) else ""


def _wait(wait: dict[str, Any]) -> str:
    sentence = f"{wait.get('kind', 'something')} at {wait.get('step', 'a step')}"
    if wait.get("run"):
        sentence += f" of run {wait['run']}"
    if wait.get("until"):
        sentence += f" until {_local_text(str(wait['until']))}"
    return f"{sentence}: {wait['message']}" if wait.get("message") else sentence


def _local_text(text: str) -> str:
    try:
        return local(datetime.fromisoformat(text))
    except ValueError:
        return text


def _note(event: LogEvent) -> str:
    if event.kind == "model.called":
        return call_words(event)
    if event.kind == "step.waiting":
        wait = {**event.data, "kind": event.data.get("for"), "step": "this step"}
        return f"waiting for {_wait(wait)}"
    if event.kind == "step.finished":
        return so_far(event.data.get("output"))
    if event.kind not in ("step.failed", "step.retrying"):
        return ""
    code = event.data.get("code")
    said = str(event.data.get("message") or code or "failed")
    if event.kind == "step.retrying":
        return f"attempt {(event.attempt or 2) - 1} failed, trying again: {said}"
    return f"{said} ({code})" if code and code != said else said


def _decision(event: LogEvent) -> str:
    verdict = event.data.get("verdict") or "decided"
    comment = event.data.get("comment")
    sentence = f"{event.step or 'approval'} {verdict}{by(event.data)}"
    return f"{sentence}: {comment}" if comment else sentence
