"""What stands above the steps of a flow.yaml: the inputs, and what starts a run."""

from __future__ import annotations

import re
from typing import Any

from core import words
from core.draft import Trigger, Written
from core.flow import EventTrigger, ScheduleTrigger
from core.inputs import input_problems, json_schema
from core.schema import show
from core.skill import Schema
from core.source import Path, Report, kind_of

MAX_INPUTS = 100
_CRON = re.compile(
    r"@(?:hourly|daily|weekly|monthly|yearly)\Z|[0-9A-Za-z*,/\-?#]+(?: +[0-9A-Za-z*,/\-?#]+){4}\Z"
)


def read_inputs(report: Report, value: Any) -> dict[str, Schema]:
    if value is None:
        return {}
    path: Path = ("inputs",)
    declared = report.mapping(path, value, "a mapping of names to JSON Schemas")
    if len(declared) > MAX_INPUTS:
        report.error(path, f"{len(declared)} inputs; a flow has at most {MAX_INPUTS}")
        return {}
    inputs: dict[str, Schema] = {}
    for name, schema in declared.items():
        words.name(report, (*path, name), name, "the name of an input")
        # Kept even where it is faulty, so that its uses are not faults as well.
        inputs[name] = schema if isinstance(schema, dict) else {}
        _check_input(report, (*path, name), schema)
    return inputs


def _check_input(report: Report, path: Path, schema: Any) -> None:
    if not isinstance(schema, dict):
        hint = f"; write {{type: {schema}}}" if isinstance(schema, str) and schema else ""
        expected = "expected a JSON Schema such as {type: string}"
        report.error(path, f"{expected}, got {kind_of(schema)}{hint}")
        return
    if not words.is_sound_schema(report, path, json_schema(schema)) or "default" not in schema:
        return
    for problem in input_problems(schema, schema["default"]):
        where = "".join(f"[{show(part)}]" for part in problem.path)
        message = f"the default{where} breaks its own schema: {problem.message}"
        report.error((*path, "default", *problem.path), message)


def read_triggers(report: Report, value: Any) -> list[Trigger]:
    if value is None:
        return []
    path: Path = ("triggers",)
    if not isinstance(value, list):
        report.error(path, f"expected a list of triggers, got {kind_of(value)}")
        return []
    return [
        trigger
        for position, each in enumerate(value)
        if (trigger := _trigger(report, (*path, position), each)) is not None
    ]


def _trigger(report: Report, path: Path, value: Any) -> Trigger | None:
    expected = 'a trigger such as {schedule: "0 8 * * MON"} or {event: sync_completed}'
    trigger = report.mapping(path, value, expected)
    arguments = _arguments(report, (*path, "with"), trigger.get("with"))
    written = [Written((*path, "with"), arguments)]
    if "schedule" in trigger:
        report.known_keys(path, trigger, ("schedule", "with"))
        line = _schedule(report, (*path, "schedule"), trigger["schedule"])
        message = "it is kept, but nothing starts runs by schedule in this version"
        report.warn_at_key((*path, "schedule"), message)
        return Trigger(path, ScheduleTrigger(schedule=line, arguments=arguments), written)
    if "event" not in trigger:
        if trigger:
            report.known_keys(path, trigger, ("schedule", "event", "when", "with"))
            report.error(path, f"expected {expected}")
        return None
    report.known_keys(path, trigger, ("event", "when", "with"))
    event = words.event(report, (*path, "event"), trigger["event"])
    when = None
    if "when" in trigger:
        condition = words.condition(report, (*path, "when"), trigger["when"])
        written += [condition] if condition is not None else []
        when = condition.value if condition is not None else None
    return Trigger(path, EventTrigger(event=event, when=when, arguments=arguments), written)


def _arguments(report: Report, path: Path, value: Any) -> dict[str, Any]:
    return {} if value is None else report.mapping(path, value, "a mapping of inputs")


def _schedule(report: Report, path: Path, value: Any) -> str:
    if isinstance(value, str) and _CRON.match(value.strip()):
        return value.strip()
    expected = "expected a cron line of five fields such as `0 8 * * MON`, or @daily"
    report.error(path, f"{expected}, got {kind_of(value)}")
    return ""
