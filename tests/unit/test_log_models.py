"""What a log says of models: what was asked, what it cost, and how the steps around it ended."""

from __future__ import annotations

from core.cursor import Cursor
from core.event import LogEvent
from core.fold import Notes
from core.log import Log
from core.run import TokenUsage
from core.steps import Steps
from core.stored_log import entries
from tests.histories import History, note, notes, reply

RESET = "2026-04-01T00:00:00+00:00"


def read(history: History, known: Notes | None = None) -> list[LogEvent]:
    return [event for event, _ in Log().read(0, history.events, known or {})]


def kinds(events: list[LogEvent]) -> list[str]:
    return [f"{event.kind} {event.step}" if event.step else event.kind for event in events]


def fold(events: list[LogEvent]) -> Steps:
    steps = Steps()
    for event in events:
        steps.hear(event)
    return steps


def states(events: list[LogEvent]) -> dict[str, str]:
    return {view.path: f"{view.kind} {view.status}" for view in fold(events).views()}


def settled(path: str, kind: str, status: str = "succeeded", **more: object) -> dict[str, object]:
    return {"path": path, "kind": kind, "status": status, **more}


def test_a_call_says_its_model_its_tokens_and_its_cost() -> None:
    h = History()
    call = h.asks("who", "extract")
    h.told(call, reply('{"age": 40}', stored=True), attempt=1)

    started, called = read(h)

    assert started.data == {"kind": "extract"}
    assert (called.id, called.kind, called.step, called.attempt) == (
        "0.3.0",
        "model.called",
        "who",
        1,
    )
    assert called.data == {
        "capability": "extract",
        "model": "demo/small",
        "tokens": {"input": 100, "cache_read": 0, "cache_write": 0, "output": 10},
        "estimated": False,
        "cost": 0.002,
        "latency_ms": 80,
        "key_source": "platform",
        "stored": True,
        "stop": "end",
        "text": '{"age": 40}',
        "duration_ms": 20,
    }


def test_an_unknown_cost_is_null_and_a_long_answer_is_shown_by_its_beginning() -> None:
    h = History()
    h.told(h.asks("text", "generate"), reply("x" * 20_000, cost=None))

    data = read(h)[-1].data

    assert data["cost"] is None
    assert (data["bytes"], len(data["preview"])) == (20_002, 400)
    assert "text" not in data


def test_a_loop_starts_with_its_first_turn_and_ends_when_it_is_told() -> None:
    h = History()
    h.told(h.asks("deals[3].think.turn1"), reply("", "look", "look"))
    look = h.tool("deals[3].think.turn1.look")
    h.done(look, "seen")
    h.told(h.asks("deals[3].think.turn2"), reply("fine"))
    h.tool("next", settled=[settled("deals[3].think", "reason")])

    events = read(h)

    assert kinds(events) == [
        "step.started deals[3].think",
        "step.started deals[3].think.turn1",
        "model.called deals[3].think.turn1",
        "step.started deals[3].think.turn1.look",
        "step.finished deals[3].think.turn1.look",
        "step.started deals[3].think.turn2",
        "model.called deals[3].think.turn2",
        "step.finished deals[3].think",
        "step.started next",
    ]
    assert events[1].data == {"kind": "reason", "turn": 1}
    assert events[2].data["tool_calls"] == ["look: id=7", "look: id=7"]
    assert events[7].data == {"kind": "reason", "duration_ms": 90}
    assert states(events) == {
        "deals[3].think": "reason succeeded",
        "deals[3].think.turn1": "reason succeeded",
        "deals[3].think.turn1.look": "compute succeeded",
        "deals[3].think.turn2": "reason succeeded",
        "next": "compute running",
    }


def test_a_step_that_is_named_like_a_turn_is_none() -> None:
    h = History()
    h.asks("deals[3].turn2", "extract")

    assert kinds(read(h)) == ["step.started deals[3].turn2"]


def test_a_repaired_answer_that_stays_wrong_fails_its_step() -> None:
    h = History()
    h.told(h.asks("who", "extract"), reply("no"))
    h.told(h.asks("who.repair", "extract"), reply("never"))
    wrong = {"code": "answer_invalid", "message": "it does not fit"}
    h.record("failed", settled=[settled("who", "extract", "failed", error=wrong)])

    events = read(h)

    assert states(events[:2]) == {"who": "extract succeeded"}
    assert states(events) == {"who": "extract failed", "who.repair": "extract succeeded"}
    assert events[-1].data["code"] == "answer_invalid"


def test_what_was_given_is_told_once() -> None:
    h = History()
    h.began(given_by="r0")
    kept = [settled("who", "extract", given=True), settled("who", "extract")]
    loop = [settled("think.turn1", "reason", given=True)]
    h.asks("think.turn2", settled=[*kept, *loop])

    events = read(h)[1:]

    assert kinds(events) == [
        "step.finished who",
        "step.finished think.turn1",
        "step.started think",
        "step.started think.turn2",
    ]
    assert events[0].data == {"kind": "extract", "given": True, "run_id": "r0"}
    assert fold(events).views()[0].given


def test_a_call_without_budget_waits_and_does_not_fail() -> None:
    h = History()
    first = h.asks("who", "extract")
    resets = {"resets_at": RESET}
    h.fails(first, code="budget_exceeded", message="no tokens left", data=resets)
    waiting = [{"kind": "budget", "step": "who", "until": RESET, "message": "no tokens left"}]
    h.record("waiting", waiting_for=waiting)
    before = read(h)
    again = h.asks("who", "extract", activity="who~2")
    h.told(again, reply("{}"), attempt=2)
    after = read(h, notes(note("who~2", 1, 6)))

    assert kinds(before) == ["step.started who", "step.waiting who", "run.waiting"]
    assert before[1].data == {
        "kind": "extract",
        "for": "budget",
        "message": "no tokens left",
        "until": RESET,
    }
    assert states(before) == {"who": "extract waiting"}
    assert kinds(after[3:]) == ["step.started who", "step.retrying who", "model.called who"]
    assert after[4].data["message"] == "try 1"
    assert states(after) == {"who": "extract succeeded"}


def test_a_call_whose_budget_others_hold_waits_and_does_not_fail_either() -> None:
    h = History()
    h.fails(h.asks("who", "extract"), code="budget_crowded", message="others hold it")
    before = read(h)
    h.told(h.asks("who", "extract", activity="who~2"), reply("{}"))

    assert kinds(before) == ["step.started who", "step.waiting who"]
    assert states(before) == {"who": "extract waiting"}
    assert states(read(h)) == {"who": "extract succeeded"}


def test_a_run_that_ends_while_a_call_waits_for_budget_leaves_nothing_open() -> None:
    h = History()
    h.began()
    h.fails(h.asks("think.turn1"), code="budget_exceeded", message="no tokens left")
    h.closes("cancelled")

    events = read(h)

    assert states(events) == {"think": "reason cancelled", "think.turn1": "reason cancelled"}


def test_a_call_that_failed_for_good_is_told_like_any_step() -> None:
    h = History()
    h.fails(h.asks("who", "extract"), attempt=2, code="invalid_key", message="no such key")

    events = read(h, notes(note("who", 1, 1)))

    assert kinds(events) == ["step.started who", "step.retrying who", "step.failed who"]
    assert events[-1].data["code"] == "invalid_key"


def test_pages_of_a_stored_log_forget_the_retries_of_calls_that_were_answered() -> None:
    h = History()
    h.told(h.asks("who", "extract"), reply("{}"), attempt=2)
    h.tool("next")
    known = notes(note("who", 1, 1))
    whole = list(Log().read(0, h.events, known))
    stored = [event for event, _ in whole]

    assert list(entries(stored, None)) == whole
    for position, (_, cursor) in enumerate(whole):
        rest = whole[position + 1 :]
        assert list(entries(stored, Cursor.parse(cursor))) == rest


def test_tokens_and_cost_grow_with_each_call_that_this_run_paid() -> None:
    h = History()
    h.told(h.asks("think.turn1"), reply("", "look", tokens=1_000))
    h.told(h.asks("think.turn2"), reply("x", tokens=2_000, cost=None))
    paid = fold(read(h)).spent
    h.told(h.asks("old", "extract"), reply("x", stored=True))
    h.told(h.asks("lost", "extract"), reply("x", stored=True), attempt=2)
    more = fold(read(h)).spent

    assert paid.tokens == TokenUsage(input=3_000, output=300, total=3_300)
    assert paid.cost == 0.002
    # What an earlier run paid is not paid again; what a lost attempt of this one paid counts.
    assert more.tokens == TokenUsage(input=3_100, output=310, total=3_410)
    assert more.cost == 0.004


def test_a_run_without_models_has_no_cost() -> None:
    h = History()
    h.done(h.tool("fetch"), 1)

    spent = fold(read(h)).spent

    assert (spent.tokens, spent.cost) == (TokenUsage(), None)
