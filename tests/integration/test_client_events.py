"""`perdure events`, spoken to a gateway as a person or a script does."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.integration.stand_in import StandIn, problem
from tests.integration.test_client_command import gateway as gateway
from tests.integration.test_client_command import perdure as perdure

SEND, LIST = "POST /api/webhooks/events", "GET /api/workspaces/demo/events"
TOLD = {
    "skills_triggered": [{"skill_id": "welcome", "run_id": "welcome-1"}],
    "skipped": [{"skill_id": "large", "code": "not_wanted", "message": "`when` is not true: x"}],
}
EVENT = {
    "id": "event-1",
    "name": "deal_signed",
    "at": "2026-11-20T08:00:00Z",
    "actor": {"kind": "key", "id": "k1"},
    "dispatched_at": "2026-11-20T08:00:01Z",
    **TOLD,
}


@pytest.mark.parametrize(
    ("words", "data"),
    [
        ([], {}),
        (["--data", "deal=D-1", "-d", "amount=12.5"], {"deal": "D-1", "amount": 12.5}),
        (["--data", '{"deal": "D-1", "of": [1]}', "-d", "deal=D-2"], {"deal": "D-2", "of": [1]}),
        (["--data-file", "-", "--data", "b=2"], {"a": 1, "b": 2}),
    ],
)
def test_what_happened_is_told_with_its_data(
    gateway: StandIn,
    perdure: Any,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    data: dict[str, Any],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": 1}'))
    gateway.answer(SEND, 200, {"event_id": "event-1", **TOLD})
    told = perdure("events", "send", "deal_signed", *words)
    assert told.code == 0, told.err
    (asked,) = gateway.asked_for(SEND)
    assert asked.body == {"event": "deal_signed", "workspace_id": "demo", "data": data}
    assert "welcome runs: welcome-1" in told.out
    assert "large was not started (not_wanted): `when` is not true: x" in told.out


def test_an_event_that_starts_nothing_says_so(gateway: StandIn, perdure: Any) -> None:
    nothing = {"event_id": "event-1", "skills_triggered": [], "skipped": []}
    gateway.answer(SEND, 200, nothing)
    assert "no skill had a trigger for it" in perdure("events", "send", "deal_signed").out


def test_an_id_goes_along_and_its_reuse_is_said(gateway: StandIn, perdure: Any) -> None:
    detail = "this event id was used before"
    gateway.answer(SEND, 409, problem(409, "idempotency_key_reused", detail))
    told = perdure("events", "send", "deal_signed", "--id", "crm-1")
    assert told.code == 1
    assert detail in told.err
    (asked,) = gateway.asked_for(SEND)
    assert asked.body["id"] == "crm-1"


def test_events_are_listed_with_what_they_started(gateway: StandIn, perdure: Any) -> None:
    waits = EVENT | {"id": "event-2", "dispatched_at": None, "skipped": []}
    gateway.answer(LIST, 200, {"items": [waits, EVENT], "next_cursor": None})
    told = perdure("events", "list", "--name", "deal_signed", "--id", "crm-1")
    assert told.code == 0, told.err
    assert "welcome-1 (under way)" in told.out
    assert "welcome-1, not large: not_wanted" in told.out
    (asked,) = gateway.asked_for(LIST)
    assert asked.query == {"name": "deal_signed", "id": "crm-1", "limit": "20"}
    gateway.answer(LIST, 200, {"items": [EVENT], "next_cursor": None})
    assert perdure("events", "list", "--json").document["items"] == [EVENT]
