from __future__ import annotations

from typing import TYPE_CHECKING

from core.log import Log
from core.steps import Steps
from tests.histories import History, at, note, notes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.event import LogEvent
    from core.run import StepView


def steps_of(events: Iterable[LogEvent]) -> tuple[StepView, ...]:
    steps = Steps()
    for event in events:
        steps.hear(event)
    return steps.views()


def test_steps_stand_where_their_last_event_put_them() -> None:
    h = History()
    h.began(given_by="r0")
    skipped = {"path": "maybe", "kind": "compute", "status": "skipped"}
    given = {"path": "paid", "kind": "skill", "status": "succeeded", "given": True}
    fetch = h.tool("fetch", settled=[skipped, given])
    h.fails(fetch, attempt=2)
    h.tool("slow")
    h.timer("nap")
    h.child_done(h.batch("signals[0..1]"), {"outputs": [1, 2]})
    log = Log()
    events = [event for event, _ in log.read(0, h.events, {})]

    views = {view.path: view for view in steps_of(events)}

    assert {path: (view.kind, view.status) for path, view in views.items()} == {
        "maybe": ("compute", "skipped"),
        "paid": ("skill", "succeeded"),
        "fetch": ("compute", "failed"),
        "slow": ("compute", "running"),
        "nap": ("wait", "waiting"),
        "signals[0..1]": ("batch", "succeeded"),
    }
    assert views["paid"].given
    fetched = views["fetch"]
    assert (fetched.attempts, fetched.started_at, fetched.completed_at) == (2, at(2), at(4))
    assert fetched.error is not None
    assert fetched.error.code == "tool_failed"

    known = notes(note("slow", 1, 5))
    retrying = [event for event, _ in log.pending({"slow": 2}, known)]
    assert [(view.status, view.attempts) for view in steps_of(events + retrying)][3] == (
        "retrying",
        2,
    )


def test_what_a_run_left_open_is_cancelled_with_it() -> None:
    h = History()
    h.began()
    h.tool("fetch")
    h.closes("cancelled")

    (view,) = steps_of([event for event, _ in Log().read(0, h.events, {})])

    assert view.status == "cancelled"
    assert view.completed_at == at(3)
