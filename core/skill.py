from typing import Any, Literal, NewType

from pydantic import Field

from core.flow import Flow
from core.model import Frozen

SkillName = NewType("SkillName", str)
SKILL_NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
MAX_NAME = 64
MAX_FILES = 500
MAX_UNPACKED = 20 * 1024 * 1024
MAX_TEXT_FILE = 1024 * 1024

Layer = Literal["agent", "workspace", "public", "built_in"]
TrustLevel = Literal["built_in", "workspace"]


class Fault(Frozen):
    """What is wrong in a bundle, where, and what would be right."""

    file: str
    line: int | None = None
    column: int | None = None
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return f"{place}: {self.message}"


class Skill(Frozen):
    """A checked bundle. `allowed_tools` is None where SKILL.md does not say.

    `language` is "flow", or "python" where the steps are a Temporal workflow of the installation.
    """

    name: str
    description: str
    instructions: str
    allowed_tools: tuple[str, ...] | None = None
    category: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict[str, str])
    flow: Flow
    kind: Literal["flow", "python"] = "flow"


class SkillVersion(Frozen):
    """`hash` is over the files; versions never change."""

    skill: Skill
    hash: str
    layer: Layer


class SkillSummary(Frozen):
    id: str
    name: str
    description: str
    category: str | None = None
    schedule: str | None = None
    last_run_at: str | None = None
    version: str
    trust_level: TrustLevel


Schema = dict[str, Any]
