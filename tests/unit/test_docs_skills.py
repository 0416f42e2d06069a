"""Every example of docs/skills.md goes through the checker."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent

import pytest

from core.bundle import Checked, SkillFacts, read_bundle
from tools import specs

PAGE = (Path(__file__).parents[2] / "docs" / "skills.md").read_text()
BLOCKS = re.findall(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FLOWS = [text for kind, mark, text in BLOCKS if kind == "yaml" and not mark]
SKILL_MD = next(text for kind, _, text in BLOCKS if kind == "markdown")
(PROMPT,) = [text for kind, mark, text in BLOCKS if (kind, mark) == ("markdown", "prompt")]
TOOLS = {tool.name: tool for tool in specs()}
SKILLS = {"greet": SkillFacts(name="greet", inputs={"who": {"type": "string"}})}
# What the page says of the flow around a fragment.
AROUND = """\
inputs: {days: {type: integer, default: 14}}
steps:
  - {id: stale, compute: echo, with: {value: {deals: []}}}
"""


def check(flow: str) -> Checked:
    files = {
        "SKILL.md": SKILL_MD.encode(),
        "flow.yaml": flow.encode(),
        "prompts/signals.md": PROMPT.encode(),
    }
    return read_bundle("pipeline-report", files, TOOLS, SKILLS)


@pytest.mark.parametrize("example", FLOWS)
def test_every_example_is_sound(example: str) -> None:
    flow = AROUND + indent(example, "  ") if example.startswith("- ") else example
    checked = check(flow)
    assert checked.skill is not None, checked.faults
    assert [fault for fault in checked.faults if "by schedule" not in fault.message] == []


def test_the_broken_example_says_what_the_page_says() -> None:
    (broken,) = [text for kind, mark, text in BLOCKS if (kind, mark) == ("yaml", "broken")]
    (told,) = [text for kind, _, text in BLOCKS if kind == "text"]
    assert [str(fault) for fault in check(broken).faults] == told.splitlines()


def test_the_body_of_the_example_keeps_its_dollar() -> None:
    assert "`${HOME}/bin`" in check(FLOWS[0]).accepted().instructions


def test_the_page_has_an_example_of_every_step() -> None:
    kinds = (
        "compute:",
        "set:",
        "steps:",
        "parallel:",
        "wait:",
        "approve:",
        "notify:",
        "skill:",
        "extract:",
        "classify:",
        "generate:",
        "reason:",
        "on_error:",
        "retry:",
    )
    assert [kind for kind in kinds if not any(kind in text for text in FLOWS)] == []
