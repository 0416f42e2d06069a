from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.archive import unpack
from core.bundle import Checked, facts_of, read_bundle
from core.errors import BuiltIn, NotFound
from core.faults import near
from core.flow import ScheduleTrigger
from core.model import Frozen
from core.skill import Fault, SkillSummary, SkillVersion
from services.paging import page_of
from store.page import Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from core.tool import ToolSpec
    from services.library import Library
    from services.versions import Versions
    from store.runs import Runs
    from store.skills import Skills


class Uploaded(Frozen):
    version: SkillVersion
    warnings: tuple[Fault, ...]


class SkillService:
    def __init__(
        self,
        skills: Skills,
        library: Library,
        versions: Versions,
        runs: Runs,
        tools: Iterable[ToolSpec],
    ) -> None:
        self._skills = skills
        self._library = library
        self._versions = versions
        self._runs = runs
        self._tools = {spec.name: spec for spec in tools}

    async def get(self, workspace: str, name: str) -> SkillVersion:
        """Raises NotFound, with the nearest right name."""
        found = await self._versions.find(workspace, name)
        if found is not None:
            return found
        known = [version.skill.name for version in await self._all(workspace)]
        raise NotFound(f"there is no skill {name[:80]!r}{near(name, known)}")

    async def list_page(self, workspace: str, limit: int, cursor: str | None) -> Page[SkillSummary]:
        versions = await self._all(workspace)
        page = page_of(versions, lambda version: version.skill.name, limit, cursor)
        last = await self._runs.last_runs(workspace)
        return Page(
            [summary(one, last.get(one.skill.name)) for one in page.items], page.next_cursor
        )

    async def summary(self, workspace: str, version: SkillVersion) -> SkillSummary:
        last = await self._runs.last_runs(workspace)
        return summary(version, last.get(version.skill.name))

    async def contents(
        self, workspace: str, version: SkillVersion
    ) -> tuple[dict[str, bytes], tuple[Fault, ...]]:
        """Its files, and what a check has to say of them today."""
        name = version.skill.name
        if version.layer == "built_in":
            built_in = self._library.get(name)
            return built_in.files, built_in.warnings
        files = await self._skills.files(workspace, version.hash)
        return files, (await self.check(workspace, name, files)).faults

    async def check(self, workspace: str, name: str, files: Mapping[str, bytes]) -> Checked:
        others = {
            version.skill.name: facts_of(version.skill)
            for version in await self._all(workspace)
            if version.skill.name != name
        }
        # A large bundle takes a second: not in the loop that others live in.
        return await asyncio.to_thread(read_bundle, name, files, self._tools, others)

    async def upload(self, workspace: str, name: str, files: dict[str, bytes]) -> Uploaded:
        """From now on the name stands for these files; runs in flight keep theirs."""
        self._refuse_built_in(name, "uploaded over")
        checked = await self.check(workspace, name, files)
        version = await self._skills.put(workspace, checked.accepted(), files)
        return Uploaded(version=version, warnings=checked.faults)

    async def remove(self, workspace: str, name: str) -> None:
        self._refuse_built_in(name, "removed")
        await self._skills.remove(workspace, name)

    async def unpacked(self, archive: bytes) -> dict[str, bytes]:
        """Raises InvalidSkill for what a zip may not hold."""
        return await asyncio.to_thread(unpack, archive)

    def _refuse_built_in(self, name: str, what: str) -> None:
        if self._library.find(name) is not None:
            raise BuiltIn(f"{name} comes with this installation and cannot be {what}")

    async def _all(self, workspace: str) -> list[SkillVersion]:
        built_in = self._library.all()
        names = {version.skill.name for version in built_in}
        uploaded = await self._skills.list_skills(workspace)
        return [*built_in, *(one for one in uploaded if one.skill.name not in names)]


def summary(version: SkillVersion, last_run_at: datetime | None) -> SkillSummary:
    skill = version.skill
    schedules = [one.schedule for one in skill.flow.triggers if isinstance(one, ScheduleTrigger)]
    return SkillSummary(
        id=skill.name,
        name=skill.name,
        description=skill.description,
        category=skill.category,
        schedule=schedules[0] if schedules else None,
        last_run_at=last_run_at.isoformat() if last_run_at else None,
        version=version.hash,
        trust_level="built_in" if version.layer == "built_in" else "workspace",
    )
