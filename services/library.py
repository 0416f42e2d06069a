"""The skills that come with the installation, one folder each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.bundle import Checked, facts_of, read_bundle, read_python_bundle
from core.errors import InvalidSkill
from core.files import SKILL, WORKFLOW
from core.skill import Fault, SkillVersion
from store.skills import hash_files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from core.tool import ToolSpec

OF_PYTHON = frozenset({"__pycache__", "__init__.py"})


@dataclass(frozen=True)
class BuiltIn:
    version: SkillVersion
    files: dict[str, bytes]
    warnings: tuple[Fault, ...]


class Library:
    """Read once, when the process starts: a change needs a restart."""

    def __init__(self, skills: dict[str, BuiltIn]) -> None:
        self._skills = skills

    @classmethod
    def load(cls, folder: Path, tools: Iterable[ToolSpec]) -> Library:
        """Raises InvalidSkill, naming the folder, where one of them has faults."""
        specs = {spec.name: spec for spec in tools}
        waiting = dict(_bundles(folder))
        found: dict[str, BuiltIn] = {}
        while waiting:
            checked = {name: _read(name, files, specs, found) for name, files in waiting.items()}
            # A skill is sound once those are known that it starts, so each round finds some more.
            sound = {name: one.skill for name, one in checked.items() if one.skill is not None}
            if not sound:
                raise _refusal(folder, checked)
            for name, skill in sound.items():
                files = waiting.pop(name)
                version = SkillVersion(skill=skill, hash=hash_files(files), layer="built_in")
                found[name] = BuiltIn(version, files, checked[name].faults)
        return cls(found)

    def find(self, name: str) -> SkillVersion | None:
        skill = self._skills.get(name)
        return None if skill is None else skill.version

    def get(self, name: str) -> BuiltIn:
        return self._skills[name]

    def all(self) -> list[SkillVersion]:
        return [skill.version for skill in self._skills.values()]


def _bundles(folder: Path) -> Iterable[tuple[str, dict[str, bytes]]]:
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not (place / SKILL).is_file():
            continue
        files = {
            str(file.relative_to(place).as_posix()): file.read_bytes()
            for file in sorted(place.rglob("*"))
            if file.is_file() and not OF_PYTHON.intersection(file.relative_to(place).parts)
        }
        # A Python package cannot have the hyphens of a skill's name.
        yield (place.name.replace("_", "-") if WORKFLOW in files else place.name), files


def _read(
    name: str, files: dict[str, bytes], tools: dict[str, ToolSpec], found: dict[str, BuiltIn]
) -> Checked:
    if WORKFLOW in files:
        return read_python_bundle(name, files, tools)
    return read_bundle(
        name, files, tools, {other: facts_of(one.version.skill) for other, one in found.items()}
    )


def _refusal(folder: Path, checked: dict[str, Checked]) -> InvalidSkill:
    faults = [f"{name}/{fault}" for name, one in checked.items() for fault in one.faults]
    return InvalidSkill(f"skills in {folder} cannot be used: {'; '.join(faults[:5])}")
