"""What an event means for a skill, and for a step that waits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import ExpressionFailed
from core.event import Event
from core.flow import Flow
from core.run import Workspace
from core.skill import Skill
from core.triggers import NotStarted, first_met, inputs_of

WORKSPACE = Workspace(id="acme", name="Acme", timezone="Europe/Berlin")
ENDLESS = "range(10000).all(i, range(10000).all(j, i + j >= 0))"


def event(**data: Any) -> Event:
    return Event(id="e1", name="signed", data=data, at=datetime(2026, 11, 20, 8, tzinfo=UTC))


def skill(*triggers: dict[str, Any]) -> Skill:
    inputs = {"deal": {"type": "string", "default": "none"}}
    flow = Flow.model_validate({"inputs": inputs, "triggers": triggers})
    return Skill(name="thanks", description="", instructions="", flow=flow)


def on(name: str = "signed", **more: Any) -> dict[str, Any]:
    return {"event": name, **more}


def refusal(*triggers: dict[str, Any], **data: Any) -> NotStarted:
    with pytest.raises(NotStarted) as caught:
        inputs_of(skill(*triggers), event(**data), WORKSPACE)
    return caught.value


def test_the_first_trigger_that_wants_the_event_gives_the_inputs() -> None:
    triggers = [
        {"schedule": "0 8 * * MON"},
        on("lost", arguments={"deal": "lost"}),
        on(when="event.data.amount > 10", arguments={"deal": "large"}),
        on(when="event.data.amount == 'x'", arguments={"deal": "${event.data.deal}"}),
        on(arguments={"deal": "${event.name} of ${workspace.name}, ${event.at}"}),
    ]
    known = inputs_of(skill(*triggers), event(amount=5), WORKSPACE)
    assert known == {"deal": "signed of Acme, 2026-11-20T08:00:00Z"}
    assert inputs_of(skill(*triggers), event(amount=50), WORKSPACE) == {"deal": "large"}
    # One that fails is passed over where another wants the event.
    assert inputs_of(skill(*triggers), event(amount="x", deal="D-1"), WORKSPACE) == {"deal": "D-1"}


def test_inputs_that_are_not_given_take_their_defaults() -> None:
    assert inputs_of(skill(on()), event(), WORKSPACE) == {"deal": "none"}


@pytest.mark.parametrize(
    ("trigger", "code", "words"),
    [
        (on(when="false"), "not_wanted", "`when` is not true: false"),
        (on(when="event.data.none"), "not_wanted", "`when` is not true: event.data.none"),
        (on(when="'yes'"), "expression_failed", "`when` must be true or false, got str"),
        (on(when="1 / 0 == 1"), "expression_failed", "division"),
        (on(when=ENDLESS), "expression_failed", "out of fuel"),
        (on(when="1 +"), "expression_failed", "ends too early"),
        (on(arguments={"deal": "${1 +}"}), "expression_failed", "ends too early"),
        (on(arguments={"deal": "${[1].map(x, x)[3]}"}), "expression_failed", ""),
        (on(arguments={"deal": 5}), "invalid_inputs", "inputs.deal"),
        (on(arguments={"deals": "x"}), "invalid_inputs", "did you mean `deal`?"),
    ],
)
def test_a_skill_that_does_not_start_says_why(
    trigger: dict[str, Any], code: str, words: str
) -> None:
    why = refusal(trigger)
    assert why.code == code
    assert words in why.message


def test_the_first_event_that_meets_the_condition_ends_a_wait() -> None:
    came = [event(deal="D-1"), event(deal="D-2"), event(deal="D-2")]
    assert first_met("event.data.deal == wanted", {"wanted": "D-2"}, came) == 1
    assert first_met("event.data.deal == wanted", {"wanted": "D-3"}, came) is None
    assert first_met(None, {}, came) == 0
    assert first_met(None, {}, []) is None
    # The event of the run itself is not the one that is waited for.
    assert first_met("event.data.deal == 'D-2'", {"event": {"data": {"deal": "D-2"}}}, came) == 1


@pytest.mark.parametrize("condition", ["event.data.deal > 3", "event.data.deal", ENDLESS])
def test_a_condition_that_cannot_be_asked_names_the_event(condition: str) -> None:
    with pytest.raises(ExpressionFailed, match="event e1"):
        first_met(condition, {}, [event(deal="D-1")])
