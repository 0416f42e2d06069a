"""From the files of a bundle to a skill, or to what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from core.calls import SkillFacts, facts_of
from core.check import check_flow, check_head
from core.faults import Faults, near, nearest, quoted, refusal
from core.files import FLOW, SKILL, WORKFLOW, Texts, check_files, is_text
from core.flow import Flow, ReasonStep, every_step
from core.frontmatter import EVERY_TOOL, Frontmatter, read_skill_md
from core.model import Frozen
from core.skill import MAX_NAME, SKILL_NAME, Fault, Skill
from core.source import Report, read
from core.tool import ToolSpec

__all__ = ["Checked", "SkillFacts", "facts_of", "read_bundle", "read_python_bundle"]


# What a SKILL.md alone is: its body is the instructions, its `allowed-tools` are the tools.
REQUEST = {"type": "string", "default": "Do what your instructions say."}
ALONE = Flow.model_validate(
    {
        "inputs": {"request": REQUEST},
        "steps": ({"id": "answer", "kind": "reason", "prompt": "${inputs.request}"},),
        "format": "markdown",
    }
)
MOST_LINES, MOST_TOKENS = 500, 5_000
BYTES_A_TOKEN = 4


class Checked(Frozen):
    """`skill` is None exactly where one of the faults is an error."""

    skill: Skill | None
    faults: tuple[Fault, ...]

    def accepted(self) -> Skill:
        """Raises InvalidSkill."""
        if self.skill is None:
            raise refusal(self.faults)
        return self.skill


def read_bundle(
    name: str,
    files: Mapping[str, bytes],
    tools: Mapping[str, ToolSpec],
    skills: Mapping[str, SkillFacts],
) -> Checked:
    """A bundle that was uploaded, or a flow of the installation."""
    bundle = _Bundle(name, files)
    bundle.warn_about_code()
    front = bundle.skill_md()
    flow = bundle.flow(front, tools, skills) if bundle.readable else None
    return bundle.checked(front, flow, tools)


def read_python_bundle(
    name: str, files: Mapping[str, bytes], tools: Mapping[str, ToolSpec]
) -> Checked:
    """A skill of the installation whose steps are a Temporal workflow: `workflow.py`."""
    bundle = _Bundle(name, files)
    if WORKFLOW not in files:
        bundle.faults.error(WORKFLOW, "the steps of a skill in Python are here, and it is missing")
    front = bundle.skill_md()
    flow = bundle.head() if bundle.readable else None
    checked = bundle.checked(front, flow, tools)
    if checked.skill is None:
        return checked
    return checked.model_copy(update={"skill": checked.skill.model_copy(update={"kind": "python"})})


class _Bundle:
    def __init__(self, name: str, files: Mapping[str, bytes]) -> None:
        self.name = name
        self.faults = Faults()
        self._check_name()
        check_files(files, self.faults)
        self.readable = not any(fault.file != _NAME for fault in self.faults.found)
        self._files = files
        self._texts = Texts(files, self.faults)
        for path in files if self.readable else ():
            if is_text(path):
                self._texts.find(path)

    def _check_name(self) -> None:
        if re.fullmatch(SKILL_NAME, self.name) and len(self.name) <= MAX_NAME:
            return
        meant = re.sub(r"[^a-z0-9]+", "-", self.name.lower()[:MAX_NAME]).strip("-")
        hint = f"; write `{meant}`" if meant else ""
        expected = f"a skill's name has up to {MAX_NAME} small letters and digits, parted by `-`"
        self.faults.error(_NAME, f"{quoted(self.name)}: {expected}{hint}")

    def warn_about_code(self) -> None:
        scripts = sum(path.lower().startswith("scripts/") for path in self._files)
        if scripts:
            many = "1 file is" if scripts == 1 else f"{scripts} files are"
            self.faults.warn("scripts/", f"{many} stored, but not run: skills bring no code")
        if WORKFLOW in self._files:
            message = "stored, but not run: only the installation's own skills bring code"
            self.faults.warn(WORKFLOW, message)

    def skill_md(self) -> Frontmatter | None:
        if not self.readable:
            return None
        file = next((path for path in self._files if path.lower() == SKILL.lower()), None)
        if file is None:
            meant = nearest(SKILL, self._files)
            hint = f"; is it {quoted(meant)}?" if meant is not None else ""
            self.faults.error(SKILL, f"missing: every skill has one, at the top{hint}")
            return None
        if not self._is_sound(file):
            return None
        return read_skill_md(self._texts.find(file) or "", self.name, self.faults, file)

    def flow(
        self,
        front: Frontmatter | None,
        tools: Mapping[str, ToolSpec],
        skills: Mapping[str, SkillFacts],
    ) -> Flow | None:
        if FLOW not in self._files:
            return self._alone(front)
        report = self._read(FLOW)
        if report is None:
            return None
        allowed = front.allowed_tools if front is not None else EVERY_TOOL
        return check_flow(report, self._texts, self.name, allowed, tools, skills)

    def _alone(self, front: Frontmatter | None) -> Flow | None:
        near_by = ("flow.yml", "flow.json", "flows.yaml", "workflow.yaml", "workflow.yml")
        other = next((path for path in self._files if path.lower() in (*near_by, FLOW)), None)
        if other is not None:
            message = f"missing: {quoted(other)} is not read, call it `{FLOW}`"
            self.faults.error(FLOW, message)
        elif front is not None and not front.instructions.strip():
            message = "there is nothing below the frontmatter: without a flow.yaml that is"
            self.faults.error(front.file, f"{message} what a model is told to do")
        return ALONE

    def head(self) -> Flow | None:
        if FLOW not in self._files:
            return Flow()
        report = self._read(FLOW)
        return check_head(report) if report is not None else None

    def _read(self, file: str) -> Report | None:
        if not self._is_sound(file):
            return None
        source = read(file, self._texts.find(file) or "", self.faults)
        return Report(source, self.faults) if source is not None else None

    def _is_sound(self, file: str) -> bool:
        """Nothing has been found wrong with the file as a whole."""
        return not any(fault.file == file for fault in self.faults.found)

    def checked(
        self, front: Frontmatter | None, flow: Flow | None, tools: Mapping[str, ToolSpec]
    ) -> Checked:
        skill = None
        if front is not None:
            self._check_allowed(front, tools)
        if front is not None and flow is not None:
            self._check_length(front, flow)
        if front is not None and flow is not None and not self.faults.failed:
            skill = Skill(
                name=self.name,
                description=front.description,
                instructions=front.instructions,
                allowed_tools=front.allowed_tools,
                category=front.category,
                metadata=front.metadata,
                flow=flow,
            )
        return Checked(skill=skill, faults=self.faults.in_order())

    def _check_length(self, front: Frontmatter, flow: Flow) -> None:
        """A body that no model reads may be as long as it likes."""
        if not any(isinstance(step, ReasonStep) for step in every_step(flow.steps)):
            return
        lines = front.instructions.count("\n") + 1
        tokens = len(front.instructions.encode()) // BYTES_A_TOKEN
        if lines > MOST_LINES or tokens > MOST_TOKENS:
            message = f"the body has {lines} lines, about {tokens} tokens, and goes along with"
            hint = "move what is rarely needed to references/"
            self.faults.warn(front.file, f"{message} every turn of a model; {hint}")

    def _check_allowed(self, front: Frontmatter, tools: Mapping[str, ToolSpec]) -> None:
        for pattern in front.allowed_tools or ():
            if not any(fnmatchcase(tool, pattern) for tool in tools):
                message = f"`allowed-tools` names {quoted(pattern)}, which is no tool here"
                self.faults.warn(front.file, f"{message}{near(pattern, tools)}", front.allowed_at)


_NAME = "(name)"
