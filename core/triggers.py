"""What an event means for a skill: whether it starts it, and with which inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.depth import MAX_DEPTH, too_deep
from core.errors import ExpressionFailed, PerdureError
from core.event import Event
from core.expression import ExpressionFault, Meter, compile_expression
from core.flow import EventTrigger
from core.inputs import settle
from core.run import Workspace
from core.skill import Skill
from core.template import TemplateFault, compile_template


class NotStarted(Exception):
    """`code` is for programs, the message for whoever asks why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def triggers_of(skill: Skill, event: str) -> list[EventTrigger]:
    return [
        trigger
        for trigger in skill.flow.triggers
        if isinstance(trigger, EventTrigger) and trigger.event == event
    ]


def inputs_of(skill: Skill, event: Event, workspace: Workspace) -> dict[str, Any]:
    """Of the first trigger that wants the event; raises NotStarted where none does."""
    scope = {"event": event.model_dump(mode="json"), "workspace": workspace.model_dump()}
    why = NotStarted("not_wanted", f"no trigger of {skill.name} wants {event.name}")
    for trigger in triggers_of(skill, event.name):
        try:
            _require_wanted(trigger, scope)
            return settle(skill.flow.inputs, _arguments(trigger, scope))
        except NotStarted as refusal:
            why = refusal
        except (ExpressionFault, TemplateFault) as fault:
            why = NotStarted("expression_failed", str(fault))
        except PerdureError as error:
            why = NotStarted(error.code, error.message)
    raise why


def _require_wanted(trigger: EventTrigger, scope: dict[str, Any]) -> None:
    if trigger.when is None:
        return
    wanted = compile_expression(trigger.when)(scope, Meter())
    if not isinstance(wanted, bool | None):
        kind = type(wanted).__name__
        raise NotStarted("expression_failed", f"`when` must be true or false, got {kind}")
    if not wanted:
        raise NotStarted("not_wanted", f"`when` is not true: {trigger.when}")


def _arguments(trigger: EventTrigger, scope: dict[str, Any]) -> dict[str, Any]:
    arguments = compile_template(trigger.arguments).render(scope, Meter()).value
    if too_deep(arguments):
        message = f"`with` is nested deeper than {MAX_DEPTH} levels"
        raise NotStarted("value_too_large", message)
    return arguments


def first_met(
    matching: str | None, known: Mapping[str, Any], events: Sequence[Event]
) -> int | None:
    """Which of the events is the first to meet the condition; raises ExpressionFailed."""
    for position, event in enumerate(events):
        if _meets(matching, known, event):
            return position
    return None


def _meets(matching: str | None, known: Mapping[str, Any], event: Event) -> bool:
    if matching is None:
        return True
    scope = {**known, "event": event.model_dump(mode="json")}
    try:
        value = compile_expression(matching)(scope, Meter())
    except ExpressionFault as fault:
        raise ExpressionFailed(f"when of event {event.id}: {fault.message}") from None
    if not isinstance(value, bool | None):
        kind = type(value).__name__
        raise ExpressionFailed(f"when must be true or false, got {kind} for event {event.id}")
    return bool(value)
