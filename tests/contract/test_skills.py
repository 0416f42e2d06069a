"""The skills that come with the installation are what their checks say of anybody's."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.library import Library
from tools import specs

SKILLS = Path(__file__).parents[2] / "skills"
LIBRARY = Library.load(SKILLS, specs())


@pytest.mark.parametrize("name", sorted(each.skill.name for each in LIBRARY.all()))
def test_a_built_in_skill_has_not_even_warnings(name: str) -> None:
    # A schedule is declared before anything keeps it.
    said = [each.message for each in LIBRARY.get(name).warnings if "schedule" not in each.message]
    assert said == []
