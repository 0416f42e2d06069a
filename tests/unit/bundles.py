"""Bundles for tests of the checker: a sound one, to which each test does one thing."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

from core.bundle import Checked, SkillFacts, read_bundle
from core.skill import Fault
from core.tool import ToolSpec

SKILL_MD = """\
---
name: mine
description: Looks at stale deals. Use when somebody asks about the pipeline.
allowed-tools: echo http_request crm_*
---
# Mine
"""

TOOLS = {
    "echo": ToolSpec(
        name="echo",
        description="Return the value.",
        arguments={
            "type": "object",
            "properties": {"value": {}},
            "additionalProperties": False,
        },
        effect="read",
        timeout=60,
    ),
    "http_request": ToolSpec(
        name="http_request",
        description="Call an HTTP API.",
        arguments={
            "type": "object",
            "properties": {
                "method": {"enum": ["GET", "POST"], "default": "GET"},
                "url": {"type": "string"},
                "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                "json": {},
                "timeout": {"type": "number", "maximum": 120},
            },
            "required": ["url"],
            "additionalProperties": False,
        },
        effect="write",
        timeout=60,
        secret_fields=("headers",),
        reads={"method": ("GET", "HEAD")},
    ),
    "crm_stale_deals": ToolSpec(
        name="crm_stale_deals",
        description="Deals without news.",
        arguments={
            "type": "object",
            "properties": {"days": {"type": "integer", "minimum": 1}},
            "required": ["days"],
        },
        effect="read",
        timeout=60,
    ),
    "mail_send": ToolSpec(
        name="mail_send",
        description="Send a letter.",
        arguments={"type": "object", "properties": {}, "additionalProperties": True},
        effect="write",
        timeout=60,
    ),
}
SKILLS = {
    "greet": SkillFacts(
        name="greet",
        inputs={
            "who": {"type": "string"},
            "times": {"type": "integer", "default": 1, "maximum": 3},
            "mood": {"type": "string", "required": False},
        },
    ),
    "first": SkillFacts(name="first", inputs={}, uses=("second",)),
    "second": SkillFacts(name="second", inputs={}, uses=("greet", "mine")),
}


def check(
    flow: str | bytes | None,
    skill_md: str | bytes = SKILL_MD,
    more: Mapping[str, bytes] | None = None,
    name: str = "mine",
) -> Checked:
    files = {"SKILL.md": _bytes(skill_md)}
    if flow is not None:
        files["flow.yaml"] = _bytes(flow)
    return read_bundle(name, {**files, **(more or {})}, TOOLS, SKILLS)


def errors(checked: Checked) -> list[Fault]:
    return [fault for fault in checked.faults if fault.severity == "error"]


def warnings(checked: Checked) -> list[Fault]:
    return [fault for fault in checked.faults if fault.severity == "warning"]


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else dedent(text).encode()
