from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perdure.command.output import Piece, Styled
from perdure.command.progress import Progress, StepProgress, in_words
from perdure.command.watch import most_telling
from perdure.run import LogEvent

BEGIN = datetime(2026, 11, 20, 8, tzinfo=UTC)


def event(
    kind: str, step: str | None = None, after: float = 0, attempt: int | None = None, **data: Any
) -> LogEvent:
    at = BEGIN + timedelta(seconds=after)
    return LogEvent(id="1", at=at, kind=kind, step=step, attempt=attempt, data=data)


def told(*events: LogEvent) -> list[str]:
    progress = Progress()
    return [text(line) for each in events for line in progress.see(each)]


def text(line: list[Piece]) -> str:
    return "".join(piece.text if isinstance(piece, Styled) else piece for piece in line)


def test_a_step_is_told_when_it_begins_and_when_it_ends() -> None:
    lines = told(event("step.started", "fetch"), event("step.finished", "fetch", 1.5))
    assert lines == ["▸ fetch", "✓ fetch  1.5 s"]


def test_a_retry_names_the_attempt_that_failed_and_is_forgotten_once_it_worked() -> None:
    lines = told(
        event("step.started", "fetch"),
        event("step.retrying", "fetch", 1, 2, code="http_failed", message="status 503"),
        event("step.finished", "fetch", 2, 2),
    )
    assert lines == [
        "▸ fetch",
        "↻ fetch  attempt 1 failed, trying again: status 503",
        "✓ fetch  2.0 s",
    ]


def test_a_failure_says_why() -> None:
    (line,) = told(event("step.failed", "fetch", code="http_failed", message="status 500"))
    assert line == "✗ fetch  status 500 (http_failed)"


def test_steps_that_did_nothing_take_no_time() -> None:
    assert told(event("step.skipped", "tell"), event("step.finished", "set")) == [
        "– tell",
        "✓ set",
    ]


def test_waiting_names_what_for() -> None:
    wait = {"kind": "approval", "step": "ask", "until": "soon", "message": "Send it?"}
    assert told(event("run.waiting", waiting_for=[wait])) == [
        "… waiting for approval at ask until soon: Send it?"
    ]


def test_waiting_for_a_person_says_what_to_type() -> None:
    wait = {"kind": "approval", "step": "ask"}
    (_, typed) = Progress("orders-1").see(event("run.waiting", waiting_for=[wait]))
    assert "perdure runs approve orders-1 --step ask" in text(typed)


def test_pause_and_resume_name_who() -> None:
    actor = {"kind": "key", "id": "k1"}
    lines = told(event("run.paused", actor=actor), event("run.resumed", actor=actor))
    assert lines == ["‖ paused by key k1", "▸ resumed by key k1"]


def test_items_and_batches_are_counted_under_their_list() -> None:
    progress = Progress()
    for each in (
        event("step.started", "deals[0..199]"),
        event("step.started", "deals[200..399]"),
        event("step.finished", "deals[0..199]"),
        event("step.finished", "others[0]"),
        event("step.started", "others[1].ask"),
        event("step.finished", "others[1].ask"),
    ):
        progress.see(each)
    deals, others = progress.steps["deals"], progress.steps["others"]
    assert (deals.done, deals.known) == (200, 400)
    assert (others.done, others.known) == (1, 2)


def test_a_thousand_items_are_not_a_thousand_lines() -> None:
    lines = told(*(event("step.finished", f"deals[{n}]", n / 100) for n in range(1000)))
    assert lines == ["▸ deals  501 done of 501 begun"]


def test_items_made_of_steps_are_all_done_when_their_list_is() -> None:
    lines = told(
        event("step.started", "deals[0].ask"),
        event("step.finished", "deals[0].ask"),
        event("step.started", "deals[1].ask"),
        event("step.finished", "deals", 2),
    )
    assert lines == ["✓ deals  2 done  2.0 s"]


def test_an_item_that_fails_is_told_at_once() -> None:
    assert told(event("step.failed", "deals[7]", code="x", message="no")) == ["✗ deals[7]: no (x)"]


@pytest.mark.parametrize("data", [{"waiting_for": 5}, {"waiting_for": ["x"]}, {"actor": "x"}])
@pytest.mark.parametrize("kind", ["run.waiting", "run.paused", "approval.decided", "run.new", "x"])
def test_odd_events_are_borne(kind: str, data: dict[str, Any]) -> None:
    told(event(kind, **data), event(kind, "step", **data))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0004, "0 ms"), (0.25, "250 ms"), (2, "2.0 s"), (90, "1 min 30 s"), (7260, "2 h 1 min")],
)
def test_durations_are_said_in_words(seconds: float, words: str) -> None:
    assert in_words(timedelta(seconds=seconds)) == words


def test_a_small_screen_shows_what_goes_on_before_what_is_done() -> None:
    steps = [StepProgress(str(number), state="succeeded") for number in range(10)]
    steps[2].state = "running"
    shown, hidden = most_telling(steps, 3)
    assert [step.name for step in shown] == ["2", "8", "9"]
    assert hidden == 7
