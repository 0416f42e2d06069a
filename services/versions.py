"""Finds a skill: what a workspace uploaded, then what comes with the installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.flow import SkillStep, every_step
from core.triggers import triggers_of

if TYPE_CHECKING:
    from core.skill import SkillVersion
    from services.library import Library
    from store.skills import Skills


class Versions:
    def __init__(self, skills: Skills, library: Library) -> None:
        self._skills = skills
        self._library = library

    async def find(self, workspace: str, name: str) -> SkillVersion | None:
        """Names of built-in skills cannot be uploaded over, so they need no query."""
        return self._library.find(name) or await self._skills.find(workspace, name)

    async def started_by(self, workspace: str, event: str) -> dict[str, SkillVersion | None]:
        """By name, those that have a trigger for the event; None is one that cannot be read."""
        uploaded = await self._skills.mentioning_event(workspace, event)
        built_in = {version.skill.name: version for version in self._library.all()}
        return {
            name: version
            for name, version in sorted({**uploaded, **built_in}.items())
            if version is None or triggers_of(version.skill, event)
        }

    async def pinned(self, workspace: str, name: str, version: str) -> SkillVersion | None:
        """As it was, also when it was removed since.

        Of built-in skills there is only what this release brings: that stands in, so that an
        upgrade does not end the runs that had begun before it.
        """
        built_in = self._library.find(name)
        if built_in is not None and built_in.hash == version:
            return built_in
        return await self._skills.find_version(workspace, name, version) or built_in

    async def pins(self, workspace: str, version: SkillVersion) -> dict[str, str]:
        """The versions of all skills that this one may start, and those in turn."""
        pins: dict[str, str] = {}
        waiting = list(_started_by(version))
        while waiting:
            name = waiting.pop()
            if name in pins:
                continue
            found = await self.find(workspace, name)
            if found is not None:
                pins[name] = found.hash
                waiting.extend(_started_by(found))
        return pins


def _started_by(version: SkillVersion) -> set[str]:
    steps = every_step(version.skill.flow.steps)
    return {step.skill for step in steps if isinstance(step, SkillStep)}
