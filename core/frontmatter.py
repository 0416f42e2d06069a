"""SKILL.md: six fields and a body. Lenient with what other tools write, and says so."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from core.faults import Faults, Place, near, quoted, strangers
from core.files import SKILL
from core.source import Report, kind_of, read

FIELDS = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
MAX_ALLOWED = 200
# What a faulty list is taken for: its steps are not faults as well.
EVERY_TOOL = ("*",)
LONGEST_ALLOWED = 120
LONGEST = {"description": 1024, "compatibility": 500}
# Fields of other tools that are kept as metadata; the rest of theirs is only named.
AS_METADATA = ("category", "priority", "tags", "version")
OF_OTHERS = (
    *("model", "context", "user-invocable", "disable-model-invocation", "argument-hint"),
    *("agent", "hooks"),
)
IN_FLOW = "write it in flow.yaml, under `triggers`"
ELSEWHERE = {
    "schedule": IN_FLOW,
    "trigger": IN_FLOW,
    "triggers": IN_FLOW,
    "created-by": "who uploaded a skill is recorded by itself; or write `metadata.created-by`",
    "source": "where a skill came from is recorded by itself; or write `metadata.source`",
    "author": "write `metadata.author`",
    "inputs": "write it in flow.yaml",
    "steps": "write it in flow.yaml",
    "output": "write it in flow.yaml",
}
_FENCE = re.compile(r"---[ \t]*\Z")
_FIELD = re.compile(r"([A-Za-z][\w-]*):[ \t]+([^\s\"'\[{|>#&*!].*:(?:[ \t].*)?)\Z")
# Spaces and commas part the names, except inside parentheses: `Bash(git add:*) Read`.
_TOOL = re.compile(r"[^\s,()]+(?:\([^()]*\))?")


@dataclass
class Frontmatter:
    description: str = ""
    instructions: str = ""
    allowed_tools: tuple[str, ...] | None = None
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    category: str | None = None
    file: str = SKILL
    allowed_at: Place | None = None


def read_skill_md(text: str, name: str, faults: Faults, file: str = SKILL) -> Frontmatter | None:
    """None where there is no frontmatter to read; the body is handed on as it is."""
    lines = text.split("\n")
    if not _FENCE.match(lines[0]):
        message = "begin with `---`, then `name:` and `description:`, then `---` again"
        faults.error(file, f"there is no frontmatter: {message}", Place(1))
        return None
    end = next((at for at, line in enumerate(lines[1:], 1) if _FENCE.match(line)), None)
    if end is None:
        faults.error(file, "the frontmatter is never closed by a second `---`", Place(1))
        return None
    report = _read_fields(file, lines[1:end], faults)
    if report is None:
        return None
    found = _Fields(report).frontmatter(name)
    found.file = file
    found.instructions = "\n".join(lines[end + 1 :]).strip("\n")
    return found


def _read_fields(file: str, lines: list[str], faults: Faults) -> Report | None:
    """Values with an unquoted colon are common, and read as they were meant."""
    first_try = Faults()
    source = read(file, "\n".join(lines), first_try, first_line=2)
    if source is None:
        mended = [_quoted_value(line) for line in lines]
        again = read(file, "\n".join(mended), Faults(), first_line=2) if mended != lines else None
        if again is not None:
            for number, (line, better) in enumerate(zip(lines, mended, strict=True), 2):
                if line != better:
                    message = "a value with a colon is read as text here; other tools want quotes"
                    faults.warn(file, message, Place(number))
            return Report(again, faults)
    faults.found.extend(first_try.found)
    return Report(source, faults) if source is not None else None


def _quoted_value(line: str) -> str:
    found = _FIELD.match(line)
    return line if found is None else f"{found[1]}: {json.dumps(found[2], ensure_ascii=False)}"


class _Fields:
    def __init__(self, report: Report) -> None:
        self._report = report
        self._fields = report.mapping((), report.source.value, "fields such as `description: …`")

    def frontmatter(self, name: str) -> Frontmatter:
        found = Frontmatter()
        found.metadata = self._metadata()
        self._extras(found.metadata)
        found.description = self._text("description")
        if not found.description.strip():
            message = "`description` is missing: say what the skill does and when to use it"
            self._report.error(("description",), message)
        self._text("license")
        self._text("compatibility")
        self._check_name(name)
        found.allowed_tools = self._allowed_tools()
        found.allowed_at = self._report.source.at_key(("allowed-tools",))
        found.category = found.metadata.get("category")
        return found

    def _check_name(self, name: str) -> None:
        own = self._fields.get("name")
        if own is None:
            self._report.warn((), f"`name` is missing; this skill is called `{name}`")
        elif own != name:
            message = f"`name` is {quoted(own)}, but this skill is called `{name}`"
            self._report.warn(("name",), message)

    def _text(self, key: str) -> str:
        value = self._fields.get(key)
        if value is None:
            return ""
        if isinstance(value, dict | list):
            self._report.error((key,), f"expected a text, got {kind_of(value)}")
            return ""
        text = _as_text(value)
        limit = LONGEST.get(key)
        if limit is not None and len(text) > limit:
            message = f"`{key}` has {len(text)} characters; other tools take {limit}"
            self._report.warn((key,), message)
        return text

    def _metadata(self) -> dict[str, str]:
        value = self._fields.get("metadata")
        if value is None:
            return {}
        metadata = self._report.mapping(("metadata",), value, "a mapping of texts")
        for key, each in metadata.items():
            if not isinstance(each, str):
                message = f"metadata holds texts; {kind_of(each)} is kept as text"
                self._report.warn(("metadata", key), message)
        return {key: _as_text(each) for key, each in metadata.items()}

    def _extras(self, metadata: dict[str, str]) -> None:
        for key in strangers(self._fields, FIELDS):
            plain = key.lower().replace("_", "-")
            path = (key,)
            if plain in ELSEWHERE:
                message = f"`{key}` is no field of SKILL.md: {ELSEWHERE[plain]}"
                self._report.error_at_key(path, message)
            elif key in AS_METADATA:
                metadata.setdefault(key, _as_text(self._fields[key]))
                message = f"`{key}` is no field of SKILL.md; it is read as `metadata.{key}`"
                self._report.warn_at_key(path, message)
            elif key in OF_OTHERS:
                message = f"`{key}` is another tool's field, and does nothing here"
                self._report.warn_at_key(path, message)
            else:
                message = f"{quoted(key)} is no field of SKILL.md, and does nothing here"
                self._report.warn_at_key(path, f"{message}{near(key, FIELDS)}")

    def _allowed_tools(self) -> tuple[str, ...] | None:
        if "allowed-tools" not in self._fields:
            return None
        path, value = ("allowed-tools",), self._fields["allowed-tools"]
        names: Any = _TOOL.findall(value) if isinstance(value, str) else value or []
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            expected = "expected names of tools, as in `allowed-tools: echo http_request`"
            self._report.error(path, f"{expected}, got {kind_of(value)}")
            return EVERY_TOOL
        if len(names) > MAX_ALLOWED or any(len(each) > LONGEST_ALLOWED for each in names):
            limit = f"{MAX_ALLOWED} names of {LONGEST_ALLOWED} characters"
            self._report.error(path, f"`allowed-tools` lists at most {limit}")
            return EVERY_TOOL
        return tuple(dict.fromkeys(each.strip() for each in names if each.strip()))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
