"""The three skills as a model and a reader meet them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from core.bundle import read_bundle
from core.flow import ExtractStep, ReasonStep, SetStep, every_step
from services.instructions import SkillInstructions
from services.library import Library
from tools import specs

ROOT = Path(__file__).parents[2] / "skills"
LIBRARY = Library.load(ROOT, specs())
NAMES = ("deal-risk-review", "pipeline-hygiene", "weekly-recap")


class Pinned:
    async def pinned(self, workspace: str, skill: str, version: str) -> Any:
        return LIBRARY.get(skill).version


@pytest.mark.parametrize("name", NAMES)
async def test_a_model_is_told_of_references_and_not_of_its_tests(name: str) -> None:
    instructions = SkillInstructions(Pinned(), None, LIBRARY)  # type: ignore[arg-type]
    guide = await instructions.guide("w", name, LIBRARY.get(name).version.hash)
    assert "evals/evals.json" in LIBRARY.get(name).files
    assert not any(path.startswith("evals/") for path in guide.files)
    for path in LIBRARY.get(name).files:
        assert not path.startswith("references/") or path in guide.files


@pytest.mark.parametrize("name", NAMES)
def test_its_evals_are_in_the_open_format(name: str) -> None:
    evals = json.loads((ROOT / name / "evals" / "evals.json").read_text())
    assert evals["skill_name"] == name
    assert [each["id"] for each in evals["evals"]] == list(range(1, len(evals["evals"]) + 1))
    for each in evals["evals"]:
        assert each.keys() == {"id", "prompt", "expected_output", "files", "assertions"}
        assert each["assertions"]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_may_look_and_write_nothing(name: str) -> None:
    skill = LIBRARY.get(name).version.skill
    asked = [step for step in every_step(skill.flow.steps) if isinstance(step, ReasonStep)]
    effects = {spec.name: spec.effect for spec in specs()}
    assert len(asked) == 1
    assert asked[0].tools
    assert {effects[tool] for tool in asked[0].tools} == {"read"}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_model_answers_has_no_room_for_names_and_numbers(name: str) -> None:
    """It judges by id; what a deal is called and worth is joined to it afterwards."""
    steps = every_step(LIBRARY.get(name).version.skill.flow.steps)
    (review,) = (step for step in steps if isinstance(step, ReasonStep))
    assert review.output_schema is not None
    deal = review.output_schema["properties"]["deals"]["items"]
    assert deal["properties"].keys() == {"deal_id", "severity", "comment", "action"}
    for step in steps:
        if isinstance(step, ReasonStep | ExtractStep):
            assert step.output_schema is not None
            assert step.output_schema["additionalProperties"] is False


PAGE = (ROOT.parent / "docs" / "revenue-skills.md").read_text()


def test_the_page_explains_every_kind_of_finding() -> None:
    explained = set(re.findall(r"`([a-z_]+)`", PAGE))
    kinds = {
        kind
        for name in NAMES
        for step in every_step(LIBRARY.get(name).version.skill.flow.steps)
        if isinstance(step, SetStep)
        for kind in re.findall(r"'kind': '([a-z_]+)'", json.dumps(step.values))
    }
    assert len(kinds) == 15
    assert kinds <= explained


def test_the_flow_of_the_page_is_sound() -> None:
    (steps,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    head = "---\nname: quiet\ndescription: Quiet deals.\n---\n"
    flow = "steps:\n" + steps
    checked = read_bundle(
        "quiet",
        {"SKILL.md": head.encode(), "flow.yaml": flow.encode()},
        {tool.name: tool for tool in specs()},
        {},
    )
    assert checked.skill is not None, checked.faults
    assert checked.faults == ()
