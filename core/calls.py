"""What a flow calls: tools and other skills exist, may be used, and get what they ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

from core.draft import Draft, FlowDraft, Written
from core.faults import MAX_STRANGERS, near, quoted, strangers
from core.flow import SkillStep, every_step
from core.inputs import is_required, json_schema
from core.model import Frozen
from core.schema import Problem, problems
from core.skill import Schema, Skill
from core.source import Path, Report
from core.template import TemplateFault, compile_template
from core.tool import ToolSpec
from core.words import is_template

_SECRET = re.compile(r"(?<!\$)\$\{\s*(secret\s*\.\s*([A-Za-z_]\w*))\s*\}", re.ASCII)
_ABOUT_MEMBERS = ("required", "additionalProperties", "unevaluatedProperties")


class SkillFacts(Frozen):
    """What others must know of a skill to start it; `uses` names the skills it starts itself."""

    name: str
    inputs: dict[str, Schema]
    uses: tuple[str, ...] = ()


def facts_of(skill: Skill) -> SkillFacts:
    starts = (step.skill for step in every_step(skill.flow.steps) if isinstance(step, SkillStep))
    return SkillFacts(name=skill.name, inputs=skill.flow.inputs, uses=tuple(dict.fromkeys(starts)))


def check_tools(
    report: Report,
    flow: FlowDraft,
    tools: Mapping[str, ToolSpec],
    allowed: tuple[str, ...] | None,
) -> None:
    for step in flow.every:
        for position, pattern in enumerate(step.fields.get("tools", ())):
            _check_offer(report, (*step.path, "tools", position), pattern, tools, allowed)
        name = step.fields.get("tool")
        if not name:
            continue
        path = (*step.path, "compute")
        tool = tools.get(name)
        if tool is None:
            report.error(path, f"unknown tool {quoted(name)}{near(name, tools)}")
            continue
        _check_allowed(report, path, tool, step.fields["arguments"], allowed)
        _check_arguments(report, step, tool)


def _check_allowed(
    report: Report,
    path: Path,
    tool: ToolSpec,
    arguments: Mapping[str, Any],
    allowed: tuple[str, ...] | None,
) -> None:
    if allowed is None:
        if tool.may_write(arguments):
            message = f"`{tool.name}` may write, and SKILL.md has no `allowed-tools`"
            report.warn(path, f"{message}: then only reading is allowed; list it there")
    elif not any(fnmatchcase(tool.name, pattern) for pattern in allowed):
        listed = " ".join(allowed) or "nothing"
        message = f"`{tool.name}` is not among the `allowed-tools` of SKILL.md, which list {listed}"
        report.error(path, f"{message[:300]}; add it there")


def _check_offer(
    report: Report,
    path: Path,
    pattern: str,
    tools: Mapping[str, ToolSpec],
    allowed: tuple[str, ...] | None,
) -> None:
    """What a model is offered is only narrowed here, so nothing of it is an error."""
    if report.faults.full:
        return
    meant = [tool for name, tool in tools.items() if fnmatchcase(name, pattern)]
    if not meant:
        message = f"{quoted(pattern)} is no tool here, and is not offered"
        report.warn(path, f"{message}{near(pattern, tools)}")
    elif allowed is not None:
        if not any(fnmatchcase(tool.name, each) for tool in meant for each in allowed):
            message = f"nothing that {quoted(pattern)} means is among the `allowed-tools`"
            report.warn(path, f"{message} of SKILL.md: it is not offered")
    elif all(tool.effect == "write" for tool in meant):
        message = f"what {quoted(pattern)} means may write, and SKILL.md has no `allowed-tools`"
        report.warn(path, f"{message}: then only reading is allowed; list it there")


def _check_arguments(report: Report, step: Draft, tool: ToolSpec) -> None:
    given: dict[str, Any] = step.fields["arguments"]
    path = (*step.path, "with")
    known: dict[str, Any] = tool.arguments.get("properties", {})
    is_open = tool.arguments.get("additionalProperties", False) is not False
    for name in () if is_open else strangers(given, known):
        message = f"`{tool.name}` has no argument {quoted(name)}{near(name, known)}"
        report.error_at_key((*path, name), message)
    for problem in literal_problems(tool.arguments, given):
        if problem.path[:1] and problem.path[0] not in known:
            continue
        if problem.keyword == "required" and len(problem.path) == 1:
            message = f"`{tool.name}` needs the argument `{problem.path[0]}`"
            report.error_at_key((*step.path, "compute") if not given else path, message)
            continue
        report.error((*path, *problem.path), f"{_where(problem.path)}{problem.message}")


def literal_problems(schema: Schema, value: Any) -> list[Problem]:
    """What can be known now: parts that hold expressions are not judged."""
    unknown: list[Path] = []
    plain = _plain(value, (), unknown)
    return [problem for problem in problems(schema, plain) if _is_certain(problem, unknown)]


def _plain(value: Any, path: Path, unknown: list[Path]) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each, (*path, key), unknown) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, (*path, position), unknown) for position, each in enumerate(value)]
    if is_template(value):
        unknown.append(path)
        return None
    return value.replace("$${", "${") if isinstance(value, str) else value


def _is_certain(problem: Problem, unknown: list[Path]) -> bool:
    path = problem.path
    if problem.keyword in _ABOUT_MEMBERS:
        # That a member is missing or too many does not depend on what the others hold.
        return not any(path[:-1][: len(each)] == each for each in unknown)
    return not any(path[: len(each)] == each or each[: len(path)] == path for each in unknown)


def _where(path: Path) -> str:
    return f"`{'.'.join(str(part) for part in path)}`: " if path else ""


def check_secrets(report: Report, flow: FlowDraft, tools: Mapping[str, ToolSpec]) -> None:
    """A secret may only stand where a tool says it keeps it."""
    for step in flow.every:
        for written in step.written:
            tool = tools.get(step.fields.get("tool", ""))
            if written is step.prompt:
                _no_secret_for_models(written.file or report, written)
            elif written.path == (*step.path, "with") and step.kind == "compute":
                for name, value in written.value.items():
                    if tool is not None and name not in tool.secret_fields:
                        _no_secret(report, (*written.path, name), value, _kept_by(tool))
            else:
                _no_secret_in(report, written)
    for written in [flow.output, *(each for one in flow.triggers for each in one.written)]:
        if written is not None:
            _no_secret_in(report, written)


def _no_secret_in(report: Report, written: Written) -> None:
    if written.kind == "template":
        _no_secret(report, written.path, written.value, "only in `with` of a `compute` step")


def _no_secret_for_models(report: Report, prompt: Written) -> None:
    for found in islice(_SECRET.finditer(prompt.value), MAX_STRANGERS):
        message = f"`secret.{found[2]}` may not stand here: secrets never go to a model"
        report.error_inside(prompt.path, prompt.value, found.start(1), message)


def _no_secret(report: Report, path: Path, value: Any, instead: str) -> None:
    try:
        secrets = compile_template(value).secrets
    except TemplateFault:
        return
    for name in secrets:
        report.error(path, f"`secret.{name}` may not stand here: {instead}")


def _kept_by(tool: ToolSpec) -> str:
    if not tool.secret_fields:
        return f"`{tool.name}` keeps no secrets"
    fields = ", ".join(f"`{name}`" for name in tool.secret_fields)
    return f"`{tool.name}` keeps secrets only in {fields}"


def check_skills(
    report: Report, flow: FlowDraft, name: str, skills: Mapping[str, SkillFacts]
) -> None:
    for step in flow.every:
        started = step.fields.get("skill")
        if not started:
            continue
        path = (*step.path, "skill")
        if (way := _way_back(started, name, skills)) is not None:
            circle = " → ".join((name, *way))
            report.error(path, f"skills would start each other for ever: {circle}")
        elif started not in skills:
            report.error(path, f"unknown skill {quoted(started)}{near(started, skills)}")
        else:
            _check_inputs(report, step, skills[started])


def _way_back(start: str, name: str, skills: Mapping[str, SkillFacts]) -> list[str] | None:
    """The chain of skills by which the started one comes to this one again."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        if way[-1] == name:
            return way
        if way[-1] in seen:
            continue
        seen.add(way[-1])
        facts = skills.get(way[-1])
        ways.extend([*way, used] for used in (facts.uses if facts is not None else ()))
    return None


def _check_inputs(report: Report, step: Draft, started: SkillFacts) -> None:
    given: dict[str, Any] = step.fields["inputs"]
    path = (*step.path, "with")
    missing = (*step.path, "skill") if not given else path
    check_given(report, path, given, started.inputs, f"`{started.name}`", missing)


def check_given(
    report: Report,
    path: Path,
    given: dict[str, Any],
    inputs: dict[str, Schema],
    whose: str,
    missing: Path,
) -> None:
    """Inputs that are written in a flow: for another skill, or for a trigger's run."""
    for name in strangers(given, inputs):
        message = f"{whose} has no input {quoted(name)}{near(name, inputs)}"
        report.error_at_key((*path, name), message)
    for name, schema in inputs.items():
        if name in given:
            for problem in literal_problems(json_schema(schema), given[name]):
                message = f"{_where((name, *problem.path))}{problem.message}"
                report.error((*path, name, *problem.path), message)
        elif is_required(schema):
            report.error_at_key(missing, f"{whose} needs the input `{name}`")
