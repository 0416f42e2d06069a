from __future__ import annotations

import pytest

from core.cursor import Cursor
from core.effects import GIVEN, RECORD
from core.errors import Invalid
from core.event import LogEvent
from core.fold import Notes
from core.history import Closed, Json
from core.log import Log
from core.run import Failure
from core.stored_log import entries
from tests.histories import ACTOR, History, at, note, notes


def read(history: History, known: Notes | None = None, after: str | None = None) -> list[LogEvent]:
    log = Log(Cursor.parse(after) if after else None)
    return [event for event, _ in log.read(0, history.events, known or {})]


def kinds(events: list[LogEvent]) -> list[str]:
    return [f"{event.kind} {event.step}" if event.step else event.kind for event in events]


def test_a_plain_run_says_what_began_and_how_it_ended() -> None:
    h = History()
    h.began()
    step = h.tool("fetch")
    h.done(step, {"deals": 3}, attempt=1)
    h.closes(output="fine")

    started, began, finished, ended = read(h)

    assert (started.id, started.kind, started.at) == ("0.1.0", "run.started", at(1))
    assert started.data == {
        "skill": "report",
        "version": "v1",
        "trigger": "manual",
        "actor": ACTOR,
    }
    assert (began.id, began.kind, began.step, began.attempt) == (
        "0.2.0",
        "step.started",
        "fetch",
        1,
    )
    assert began.data == {"kind": "compute", "tool": "echo", "arguments": {"value": 1}}
    assert (finished.id, finished.kind, finished.attempt) == ("0.4.0", "step.finished", 1)
    assert finished.data == {"output": {"deals": 3}, "duration_ms": 20}
    assert (ended.kind, ended.data) == ("run.succeeded", {"output": "fine", "duration_ms": 40})


def test_large_outputs_are_shown_by_their_beginning() -> None:
    h = History()
    h.began()
    h.done(h.tool("fetch"), "é" * 9_000)

    data = read(h)[-1].data

    assert data["bytes"] == 18_002
    assert data["preview"].startswith('"éé')
    assert len(data["preview"]) == 400


def test_a_secret_is_shown_as_its_place_only() -> None:
    h = History()
    use = {"pointer": "/headers/a~1b", "parts": ["Bearer ", {"secret": "token"}]}
    h.tool("call", arguments={"headers": {"a/b": "", "c": "d"}}, secrets=[use])

    assert read(h)[0].data["arguments"] == {"headers": {"a/b": "Bearer ***", "c": "d"}}


def test_steps_without_an_activity_come_just_before_what_carries_them() -> None:
    h = History()
    h.began(given_by="r0")
    settled = [
        {"path": "limit", "kind": "set", "status": "succeeded"},
        {"path": "maybe", "kind": "compute", "status": "skipped"},
        {"path": "paid", "kind": "compute", "status": "succeeded", "given": True},
    ]
    h.tool("fetch", settled=settled)
    error = {"code": "expression_failed", "message": "no such key"}
    h.record("failed", settled=[{"path": "bad", "kind": "set", "status": "failed", "error": error}])

    events = read(h)

    assert kinds(events[1:]) == [
        "step.finished limit",
        "step.skipped maybe",
        "step.finished paid",
        "step.started fetch",
        "step.failed bad",
    ]
    assert [event.id for event in events[1:5]] == ["0.2.0", "0.2.1", "0.2.2", "0.2.3"]
    assert events[3].data == {"kind": "compute", "given": True, "run_id": "r0"}
    assert events[5].data["code"] == "expression_failed"


def test_attempts_come_between_start_and_outcome() -> None:
    h = History()
    step = h.tool("fetch")
    h.fails(step, attempt=3)

    events = read(h, notes(note("fetch", 1, 1), note("fetch", 2, 1, retry="yes")))

    assert [event.id for event in events] == ["0.1.0", "0.1.a2", "0.1.a3", "0.3.0"]
    assert [event.attempt for event in events] == [1, 2, 3, 3]
    assert events[1].data == {"code": "tool_failed", "message": "try 1", "attempts": 1}
    assert events[3].data["attempts"] == 3


def test_an_attempt_that_left_no_note_is_told_all_the_same() -> None:
    h = History()
    h.done(h.tool("fetch"), attempt=2)

    assert [event.id for event in read(h)] == ["0.1.0", "0.1.a2", "0.3.0"]
    assert read(h)[1].data["code"] == "attempt_lost"


def test_retries_of_a_step_that_never_closed_are_known_from_the_notes() -> None:
    h = History()
    h.tool("fetch")
    h.closes("terminated")
    late = note("fetch", 2, 9)

    events = read(h, notes(note("fetch", 1, 1), late))

    assert kinds(events) == [
        "step.started fetch",
        "step.retrying fetch",
        "step.cancelled fetch",
        "run.failed",
    ]
    assert [event.id for event in events] == ["0.1.0", "0.1.a2", "0.2.0", "0.2.1"]


def test_pending_retries_are_told_once() -> None:
    h = History()
    step = h.tool("fetch")
    log = Log()
    known = notes(note("fetch", 1, 1))
    list(log.read(0, h.events, known))

    assert log.attempting
    told = list(log.pending({"fetch": 2}, known))
    assert [(event.id, cursor) for event, cursor in told] == [("0.1.a2", "0-1-0~1=2")]
    assert list(log.pending({"fetch": 3}, known)) == [], "attempt 2 has left no note yet"
    h.done(step, attempt=2)
    rest = list(log.read(0, h.events[1:], known))
    assert [(event.id, cursor) for event, cursor in rest] == [("0.3.0", "0-3-0")]
    assert not log.attempting


def test_a_resumed_reader_knows_the_retries_of_open_steps() -> None:
    h = History()
    step = h.tool("fetch")
    h.done(step, attempt=3)
    known = notes(note("fetch", 1, 1), note("fetch", 2, 1))

    assert [event.id for event in read(h, known, after="0-1-0~1=2")] == ["0.1.a3", "0.3.0"]


def test_pause_and_resume_are_told_when_they_change_something() -> None:
    h = History()
    h.pause()
    h.pause()
    h.resume()
    h.resume()

    events = read(h)

    assert kinds(events) == ["run.paused", "run.resumed"]
    assert events[0].data == {"actor": ACTOR}


def test_waiting_and_running_alternate() -> None:
    h = History()
    until = "2026-03-01T09:00:00Z"
    timer = {"kind": "timer", "step": "nap", "until": until, "message": None}
    set_at = h.timer("nap")
    h.record("running")
    h.record("waiting", waiting_for=[timer])
    h.record("waiting", waiting_for=[timer])
    h.record("paused")
    h.record("waiting", waiting_for=[timer])
    h.timer_ends(set_at)
    h.record("running")
    h.record("running")

    events = read(h)

    assert kinds(events) == [
        "step.started nap",
        "run.waiting",
        "run.waiting",
        "step.finished nap",
        "run.running",
    ]
    assert events[1].data == {"waiting_for": [timer]}


def test_timers_that_are_no_step_are_silent() -> None:
    h = History()
    h.timer(None)
    h.timer_ends(h.timer("prep: before the next attempt"))

    assert read(h) == []


@pytest.mark.parametrize("path", ["nap", "deals[3].nap", "outer[3].inner[12]", "prep#2.nap"])
def test_a_timer_that_is_cancelled_cancels_its_step(path: str) -> None:
    h = History()
    h.timer_ends(h.timer(path), "cancelled")

    assert kinds(read(h)) == [f"step.started {path}", f"step.cancelled {path}"]


def test_an_approval_is_a_step_that_ends_with_the_decision() -> None:
    h = History()
    wait = {"kind": "approval", "step": "ask", "until": None, "message": "Send it?"}
    h.record("waiting", waiting_for=[wait])
    h.refused_decision()
    h.decision("ask", "approved")

    started, waiting, decided, finished = read(h)

    assert started.data == {"kind": "approve", "message": "Send it?"}
    assert waiting.kind == "run.waiting"
    assert decided.kind == "approval.decided"
    assert decided.step == "ask"
    assert decided.data == {"verdict": "approved", "actor": ACTOR, "comment": "fine"}
    assert finished.kind == "step.finished"
    assert finished.data["output"] == {"step": "ask", "approved": True}


def test_a_rejected_approval_fails_once() -> None:
    h = History()
    wait = {"kind": "approval", "step": "ask", "until": None, "message": "Send it?"}
    h.record("waiting", waiting_for=[wait])
    h.decision("ask", "rejected")
    error = {"code": "approval_rejected", "message": "no", "step": "ask"}
    settled = {"path": "ask", "kind": "approve", "status": "failed", "error": error}
    h.record("failed", settled=[settled])
    failure = Failure(code="approval_rejected", message="no", step="ask")
    h.closes("failed", failure=failure)

    events = read(h)

    assert kinds(events[2:]) == ["approval.decided ask", "step.failed ask", "run.failed ask"]
    assert events[3].data["duration_ms"] == 30


def test_a_child_run_is_one_step_from_its_preparation_to_its_end() -> None:
    h = History()
    h.child_done(h.child("sub", "s-1"), {"ok": 1})
    h.child_failed(h.child("again", "s-2"))

    sub, finished, again, failed = read(h)

    assert sub.data == {"kind": "skill", "skill": "s", "run_id": "s-1"}
    assert finished.step == "sub"
    assert finished.data == {"output": {"ok": 1}, "duration_ms": 40}
    assert failed.step == again.step == "again"
    assert failed.data["code"] == "child_failed"
    assert failed.data["data"] == {"run_id": "s-2", "code": "tool_failed"}


def test_a_child_run_that_could_not_be_prepared_fails_its_step() -> None:
    h = History()
    request = {"path": "sub", "run": "s-1", "skill": "s"}
    h.fails(h.activity("sub.child", "perdure.child", request))

    assert kinds(read(h)) == ["step.started sub", "step.failed sub"]


def test_a_batch_is_one_line_with_counts() -> None:
    h = History()
    h.child_done(h.batch("signals[0..2]"), {"outputs": [1, None, 3], "errors": [{"index": 1}]})
    failure = {"code": "tool_failed", "message": "no"}
    h.child_done(h.batch("signals[3..4]"), {"outputs": [None, None], "failed": failure})

    began, finished, _, failed = read(h)

    assert began.step == "signals[0..2]"
    assert began.data == {"kind": "batch", "lo": 0, "hi": 2}
    assert finished.data == {"items": 3, "failed_items": 1, "duration_ms": 10}
    assert (failed.kind, failed.data["code"], failed.data["items"]) == (
        "step.failed",
        "tool_failed",
        2,
    )


def test_the_log_of_a_batch_begins_and_ends_with_the_batch() -> None:
    h = History(workflow="r1/signals[500..501]")
    h.began()
    h.done(h.tool("signals[500]"))
    h.done(h.tool("signals[501]"))
    h.closes(output={"outputs": [1, 2]})

    events = read(h)

    assert kinds(events)[0] == "step.started signals[500..501]"
    assert kinds(events)[-1] == "step.finished signals[500..501]"
    assert events[-1].data["items"] == 2


def test_the_log_of_a_batch_tells_what_ended_after_its_last_request() -> None:
    h = History(workflow="r1/signals[0..1]")
    h.began()
    h.done(h.tool("signals[0].ask"))
    ended = {"kind": "steps", "status": "succeeded"}
    settled = [{"path": f"signals[{n}]", **ended} for n in range(2)]
    h.closes(output={"outputs": [1, 2], "settled": settled})

    assert kinds(read(h))[3:] == [
        "step.finished signals[0]",
        "step.finished signals[1]",
        "step.finished signals[0..1]",
    ]


def test_bookkeeping_is_no_step() -> None:
    h = History()
    h.done(h.activity("perdure.given.0", GIVEN, {"run": "r0"}), {"steps": {}})
    h.done(h.activity("perdure.record.3", RECORD, {"status": "paused"}), {"status": "paused"})

    assert read(h) == []


def test_a_record_that_had_to_be_an_activity_counts_when_it_is_made() -> None:
    h = History()
    wait = {"kind": "timer", "step": "nap", "until": None, "message": None}
    h.activity("perdure.record.3", RECORD, {"status": "waiting", "waiting_for": [wait]})

    assert kinds(read(h)) == ["run.waiting"]


def test_a_cancelled_run_says_who_asked() -> None:
    h = History()
    h.began()
    h.tool("fetch")
    h.cancel("key:k1")
    h.cancel("again")
    h.closes("cancelled")

    events = read(h)

    assert kinds(events) == [
        "run.started",
        "step.started fetch",
        "run.cancel_requested",
        "step.cancelled fetch",
        "run.cancelled",
    ]
    assert events[2].data == {"actor": {"kind": "key", "id": "k1"}}


@pytest.mark.parametrize(
    ("how", "failure", "kind", "code"),
    [
        ("terminated", None, "run.failed", "terminated"),
        ("timed_out", None, "run.timed_out", "run_timed_out"),
        ("failed", Failure(code="run_timed_out", message="late"), "run.timed_out", "run_timed_out"),
        ("failed", Failure(code="http_failed", message="503"), "run.failed", "http_failed"),
    ],
)
def test_every_bad_ending_has_one_name(
    how: str, failure: Failure | None, kind: str, code: str
) -> None:
    h = History()
    h.began()
    h.closes(how, failure=failure)

    events = read(h)

    assert [event.kind for event in events] == ["run.started", kind]
    assert events[1].data["code"] == code


def test_a_continued_run_begins_and_ends_once() -> None:
    first, second = History(), History()
    first.began()
    first.tool("a")
    first.closes("continued")
    second.began(continued="yes")
    second.done(second.tool("a"))
    second.closes()
    log = Log()

    events = [event for event, _ in log.read(0, first.events, {})]
    events += [event for event, _ in log.read(1, second.events, {})]

    assert kinds(events) == [
        "run.started",
        "step.started a",
        "step.cancelled a",
        "step.started a",
        "step.finished a",
        "run.succeeded",
    ]
    assert [event.id for event in events[3:]] == ["1.2.0", "1.4.0", "1.5.0"]
    assert events[-1].data["duration_ms"] == 40


@pytest.mark.parametrize("text", ["", "1", "0-1", "0-1-0~", "0-1-0~1", "a-b-c", "0-1-0~1=2,"])
def test_a_cursor_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        Cursor.parse(text)
    assert caught.value.errors[0].field == "cursor"


@pytest.mark.parametrize("text", ["0-1-0", "3-14-2~9=2,12=5"])
def test_a_cursor_reads_as_it_was_written(text: str) -> None:
    assert str(Cursor.parse(text)) == text


def test_a_stored_log_goes_on_from_a_live_cursor() -> None:
    h = History()
    slow, quick = h.tool("slow"), h.tool("quick")
    h.done(quick)
    h.done(slow, attempt=3)
    h.closes()
    known = notes(note("slow", 1, 2), note("slow", 2, 3))
    stored = read(h, known)

    rest = [event.id for event, _ in entries(stored, Cursor.parse("0-2-0~1=2"))]

    assert rest == ["0.4.0", "0.1.a3", "0.6.0", "0.7.0"]


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("", "the run was terminated from outside"),
        ("terminated by user via frontend", "the run was terminated from outside"),
        ("too expensive", "too expensive"),
    ],
)
def test_a_terminated_run_says_why_where_somebody_said_so(reason: str, message: str) -> None:
    closed = Closed(1, at(1), "terminated", Json(), None, reason, None)
    ((event, _),) = Log().read(0, [closed], {})

    assert event.data["message"] == message
