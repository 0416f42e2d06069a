from dataclasses import replace
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from core.errors import InvalidArguments
from core.tool import RunContext, Tool, ToolContext
from tools.registry import tool


class SkillFiles(Protocol):
    async def read(self, run: RunContext, path: str) -> str:
        """Raises InvalidArguments, naming the nearest file."""
        ...


class NoFiles:
    """For a registry that is only read: nothing can be called."""

    async def read(self, run: RunContext, path: str) -> str:
        raise InvalidArguments(f"{run.skill} has no file {path!r}")


class FileOfSkill(BaseModel):
    model_config = ConfigDict(extra="forbid")

    path: str = Field(max_length=500, description="As the list of the skill's files has it.")


def skill_file(files: SkillFiles) -> Tool:
    """Needs no permission: a skill may always read what it brought."""

    @tool("read")
    async def skill_file(arguments: FileOfSkill, context: ToolContext) -> str:
        """Read a text file of this skill, such as a reference that its instructions name."""
        return await files.read(context.run, arguments.path)

    return replace(skill_file, own=True)
