from core.errors import NotFound
from services.versions import Versions


class SkillInstructions:
    """The bodies of SKILL.md, as they were in the version that a run began with."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    async def instructions(self, workspace: str, skill: str, version: str) -> str:
        found = await self._versions.pinned(workspace, skill, version)
        if found is None:
            raise NotFound(f"there is no version {version[:12]} of `{skill}` any more")
        return found.skill.instructions
