"""Finds faults in a flow before it runs."""

from __future__ import annotations

from collections.abc import Mapping

from core.calls import SkillFacts, check_given, check_secrets, check_skills, check_tools
from core.digest import canonical
from core.draft import FlowDraft
from core.faults import quoted
from core.files import Texts
from core.flow import MAX_FLOW_BYTES, Flow
from core.grammar import read_flow, read_head
from core.names import check_names
from core.source import Report
from core.tool import ToolSpec


def check_flow(
    report: Report,
    texts: Texts,
    name: str,
    allowed: tuple[str, ...] | None,
    tools: Mapping[str, ToolSpec],
    skills: Mapping[str, SkillFacts],
) -> Flow | None:
    """The flow, where nothing is wrong with it; what is wrong is told to the report."""
    draft = read_flow(report, texts)
    size = sum(len(step.prompt.value.encode()) for step in draft.every if step.prompt is not None)
    if size > MAX_FLOW_BYTES:
        # Reading on would take long: one large file may be the prompt of every step.
        _too_large(report, draft, size)
        return None
    check_names(report, draft)
    check_tools(report, draft, tools, allowed)
    check_secrets(report, draft, tools)
    check_skills(report, draft, name, skills)
    return _built(report, draft)


def check_head(report: Report) -> Flow | None:
    """The flow.yaml of a skill in Python: inputs, triggers and format."""
    draft = read_head(report)
    check_names(report, draft)
    check_secrets(report, draft, {})
    return _built(report, draft)


def _built(report: Report, draft: FlowDraft) -> Flow | None:
    for trigger in draft.triggers:
        path = (*trigger.path, "with")
        given = trigger.trigger.arguments
        check_given(report, path, given, draft.inputs, "this skill", trigger.path)
    if report.faults.failed:
        return None
    flow = draft.build()
    size = len(canonical(flow.model_dump(mode="json")).encode())
    if size > MAX_FLOW_BYTES:
        _too_large(report, draft, size)
        return None
    return flow


def _too_large(report: Report, draft: FlowDraft, size: int) -> None:
    message = f"the flow is {size // 1024} KB as JSON; a flow has at most"
    message = f"{message} {MAX_FLOW_BYTES // 1024} KB, prompts included"
    prompts = [(len(step.prompt.value), step) for step in draft.every if step.prompt is not None]
    if prompts:
        length, step = max(prompts, key=lambda each: each[0])
        file = step.prompt.file if step.prompt is not None else None
        whose = quoted(file.source.file) if file is not None else f"that of `{step.id}`"
        message = f"{message}; the largest prompt is {whose} with {length // 1024} KB"
    report.error((), message)
