"""Every flow of docs/events.md goes through the checker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.bundle import read_bundle
from tests.unit.bundles import SKILL_MD
from tools import specs

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")
TOOLS = {tool.name: tool for tool in specs()}


@pytest.mark.parametrize("flow", re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S))
def test_every_example_is_sound(flow: str) -> None:
    files = {"SKILL.md": SKILL_MD.encode(), "flow.yaml": flow.encode()}
    checked = read_bundle("pipeline-hygiene", files, TOOLS, {})
    assert checked.skill is not None, checked.faults
    assert [str(fault) for fault in checked.faults if fault.file == "flow.yaml"] == []
