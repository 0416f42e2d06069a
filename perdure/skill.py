from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from perdure.errors import Fault
from perdure.model import Answer


class SkillSummary(Answer):
    """A skill as lists show it."""

    id: str = ""
    name: str
    description: str = ""
    category: str | None = None
    schedule: str | None = None
    last_run_at: datetime | None = None
    version: str = ""
    trust_level: str = ""


class Skill(SkillSummary):
    """The whole skill. `files` are those that are text; `inputs` are JSON Schemas by name."""

    inputs: dict[str, Any] = Field(default_factory=dict[str, Any])
    allowed_tools: tuple[str, ...] | None = None
    files: dict[str, str] = Field(default_factory=dict[str, str])
    warnings: tuple[Fault, ...] = ()


class Pushed(Answer):
    """The answer to an upload."""

    name: str = ""
    version: str = ""
    warnings: tuple[Fault, ...] = ()


class Checked(Answer):
    """`ok` says that no fault is an error."""

    ok: bool
    faults: tuple[Fault, ...] = ()


class Bundle(Answer):
    """The files of a skill's folder, by their path inside it."""

    name: str
    files: dict[str, bytes] = Field(repr=False)

    @property
    def texts(self) -> dict[str, str]:
        """Those that are UTF-8 text."""
        found: dict[str, str] = {}
        for path, content in self.files.items():
            try:
                found[path] = content.decode("utf-8")
            except UnicodeDecodeError:
                continue
        return found

    @property
    def size(self) -> int:
        return sum(len(content) for content in self.files.values())

    @property
    def is_text(self) -> bool:
        return len(self.texts) == len(self.files)
