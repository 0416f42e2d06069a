"""Runs and their events as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from perdure.command.follow import in_full, temporal_link
from perdure.command.output import Output, Piece, Styled, status_piece
from perdure.command.plain import as_json, one_line
from perdure.command.progress import SIGN, by, in_words, local, waits_of
from perdure.command.spent import call_words, in_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perdure.run import Callback, LogEvent, Run, RunSummary, Step

LONGEST = 160  # characters of a log line's data
SIGN_OF_EVENT = {
    "step.started": "running",
    "step.waiting": "waiting",
    "step.retrying": "retrying",
    "step.finished": "succeeded",
    "step.failed": "failed",
    "step.skipped": "skipped",
    "step.cancelled": "cancelled",
    "model.called": "succeeded",
    "run.succeeded": "succeeded",
    "run.failed": "failed",
    "run.cancelled": "cancelled",
    "run.timed_out": "failed",
}
ORDINARY_STOPS = ("end", "tools")
UNTOLD = frozenset(
    {"kind", "code", "message", "duration_ms", "attempts", "waiting_for", "given", "actor"}
)


def run_rows(runs: Iterable[RunSummary]) -> Iterator[list[Piece]]:
    for run in runs:
        about = run.label or (run.error.code if run.error else "")
        yield [
            run.run_id,
            run.skill,
            status_piece(run.status),
            local(run.started_at or run.created_at),
            took(run.duration_ms),
            about,
        ]


def more(output: Output, cursor: str | None) -> None:
    if cursor:
        output.note(Styled(f"there are more: --cursor {cursor}", "dim"))


def show_run(output: Output, run: Run) -> None:
    output.say(Styled(run.run_id, "bold"), "  ", run.skill, "  ", status_piece(run.status))
    facts = [
        ("label", run.label),
        ("version", run.version),
        ("trigger", run.trigger),
        ("retry of", run.retry_of),
        ("parent", run.parent),
        ("created", local(run.created_at)),
        ("started", local(run.started_at)),
        ("ended", local(run.completed_at)),
        ("took", took(run.duration_ms)),
        ("models", in_all(run.document())),
        ("problem", run.problem if isinstance(run.problem, str) else None),
        ("callback", callback_words(run.callback)),
        ("Temporal UI", temporal_link(run)),
    ]
    for name, value in facts:
        if value:
            output.say(Styled(f"  {name + ':':<13}", "dim"), value)
    for sentence in waits_of(run.document(), run.run_id):
        output.say(Styled(f"  {sentence}", "yellow"))
    if run.error:
        place = f"{run.error.step}: " if run.error.step else ""
        output.say(Styled("  error:       ", "red"), f"{place}{run.error.message}")
        output.say(Styled(f"  {'code:':<13}", "dim"), run.error.code)
    if run.steps:
        output.say()
        output.table(("STEP", "KIND", "STATUS", "TOOK", "ABOUT"), map(_step_row, run.steps))
    if run.inputs:
        output.say()
        output.say(Styled("inputs", "bold"))
        output.say(as_json(run.inputs, indent=2))
    if run.has_ended and run.output is not None:
        output.say()
        output.say(Styled("output", "bold"))
        output.say(in_full(run.output))


def callback_words(callback: Callback | None) -> str | None:
    if callback is None:
        return None
    said = callback.status.replace("_", " ")
    if callback.status != "delivered" and callback.attempts:
        why = f": {callback.last_error}" if callback.last_error else ""
        said += f" after {callback.attempts} {'try' if callback.attempts == 1 else 'tries'}{why}"
    return said


def event_line(event: LogEvent) -> list[Piece]:
    sign = SIGN.get(SIGN_OF_EVENT.get(event.kind, ""), Styled("·", "dim"))
    attempt = f" (attempt {event.attempt})" if (event.attempt or 1) > 1 else ""
    line: list[Piece] = [Styled(_clock(event.at), "dim"), "  ", sign, f" {event.kind}"]
    if event.step:
        line.append(Styled(f"  {event.step}", "bold"))
    line.append(attempt)
    said = _called(event) if event.kind == "model.called" else _said(event.data)
    if said:
        line.append(f"  {said}")
    return line


def took(milliseconds: int | None) -> str:
    return in_words(timedelta(milliseconds=milliseconds)) if milliseconds is not None else ""


def _step_row(step: Step) -> list[Piece]:
    length = (
        in_words(step.completed_at - step.started_at)
        if step.completed_at and step.started_at
        else ""
    )
    about = [f"{step.attempts} attempts"] if step.attempts > 1 else []
    about += ["kept"] if step.given else []
    about += [f"{step.error.message} ({step.error.code})"] if step.error else []
    return [step.path, step.kind, status_piece(step.status), length, ", ".join(about)]


def _clock(at: datetime | None) -> str:
    at = at.astimezone() if at else datetime.fromtimestamp(0, UTC)
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03}"


def _said(data: dict[str, Any]) -> str:
    parts: list[str] = []
    if data.get("given"):
        parts.append("kept from the run before")
    if isinstance(data.get("duration_ms"), int):
        parts.append(took(data["duration_ms"]))
    if data.get("message"):
        parts.append(one_line(str(data["message"])))
    if data.get("code"):
        parts.append(f"({data['code']})")
    parts += waits_of(data)
    parts += [by(data).strip()] if by(data) else []
    rest = {name: value for name, value in data.items() if name not in UNTOLD}
    if rest:
        parts.append(
            _cut(", ".join(f"{name}={_value(name, value)}" for name, value in rest.items()))
        )
    return "  ".join(parts)


def _called(event: LogEvent) -> str:
    data = event.data
    latency = data.get("latency_ms")
    parts = [call_words(event), took(latency) if isinstance(latency, int) else ""]
    parts.append(str(data.get("stop") or "") if data.get("stop") not in ORDINARY_STOPS else "")
    uses = data.get("tool_calls")
    if isinstance(uses, list):
        parts.append(_cut(one_line("calls " + ", ".join(map(str, uses)))))
    said = data.get("text") or data.get("preview")
    parts.append(_cut(one_line(said)) if isinstance(said, str) else "")
    return "  ".join(part for part in parts if part)


def _value(name: str, value: Any) -> str:
    if name == "version" and isinstance(value, str):
        return one_line(value)[:12]
    return one_line(value) if isinstance(value, str) else as_json(value)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
