"""What a skill brought with it, as it was in the version that a run began with."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from core.errors import InvalidArguments, NotFound
from core.faults import near
from core.files import EVALS, FLOW, SKILL
from core.llm import Guide

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.tool import RunContext
    from services.library import Library
    from services.versions import Versions
    from store.skills import Skills

MOST_REMEMBERED = 200  # versions never change


class SkillInstructions:
    """The body of SKILL.md and the files it may refer to."""

    def __init__(self, versions: Versions, skills: Skills, library: Library) -> None:
        self._versions = versions
        self._skills = skills
        self._library = library
        self._known: OrderedDict[tuple[str, str, str], Guide] = OrderedDict()

    async def guide(self, workspace: str, skill: str, version: str) -> Guide:
        place = (workspace, skill, version)
        known = self._known.get(place)
        if known is None:
            found = await self._versions.pinned(workspace, skill, version)
            if found is None:
                raise NotFound(f"there is no version {version[:12]} of `{skill}` any more")
            files = await self._files(workspace, skill, version)
            known = Guide(instructions=found.skill.instructions, files=_named(files))
            self._known[place] = known
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return known

    async def read(self, run: RunContext, path: str) -> str:
        files = await self._files(run.workspace, run.skill, run.version)
        if path not in files:
            raise InvalidArguments(f"`{run.skill}` has no file {path!r}{near(path, files)}")
        try:
            return files[path].decode()
        except UnicodeDecodeError:
            raise InvalidArguments(f"{path} is not text") from None

    async def _files(self, workspace: str, skill: str, version: str) -> dict[str, bytes]:
        built_in = self._library.find(skill)
        if built_in is not None and built_in.hash == version:
            return self._library.get(skill).files
        return await self._skills.files(workspace, version)


def _named(files: Iterable[str]) -> tuple[str, ...]:
    """Whoever is tested is not shown the tests."""
    shown = (path for path in files if path not in (SKILL, FLOW) and not path.startswith(EVALS))
    return tuple(sorted(shown))
