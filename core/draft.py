"""A flow as its author wrote it: understood piece by piece, with the place of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from core.flow import (
    ApproveStep,
    ClassifyStep,
    ComputeStep,
    EventTrigger,
    ExtractStep,
    Flow,
    GenerateStep,
    GroupStep,
    NotifyStep,
    ParallelStep,
    ReasonStep,
    Recovery,
    ScheduleTrigger,
    SetStep,
    SkillStep,
    Step,
    WaitStep,
)
from core.skill import Schema
from core.source import Path, Report

Kind = Literal[
    "compute",
    "set",
    "steps",
    "parallel",
    "skill",
    "wait",
    "approve",
    "notify",
    "extract",
    "classify",
    "generate",
    "reason",
]
MODELS: dict[Kind, Any] = {
    "compute": ComputeStep,
    "set": SetStep,
    "steps": GroupStep,
    "parallel": ParallelStep,
    "skill": SkillStep,
    "wait": WaitStep,
    "approve": ApproveStep,
    "notify": NotifyStep,
    "extract": ExtractStep,
    "classify": ClassifyStep,
    "generate": GenerateStep,
    "reason": ReasonStep,
}


@dataclass(frozen=True)
class Written:
    """A template, or an expression that stands `offset` characters into its text.

    `item` says whether it sees the item of its own step's `for_each`; `file` is there where the
    text is a file of its own.
    """

    path: Path
    value: Any
    kind: Literal["template", "expression"] = "template"
    item: Literal["seen", "unseen"] = "seen"
    text: str = ""
    offset: int = 0
    file: Report | None = None


@dataclass
class Draft:
    """A step. `branch` names the body in which its parent holds it: a branch, or `on_error`."""

    path: Path
    id: str
    kind: Kind | None = None
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    written: list[Written] = field(default_factory=list[Written])
    prompt: Written | None = None
    bodies: dict[str, list[Draft]] = field(default_factory=dict[str, "list[Draft]"])
    recovery: list[Draft] | None = None
    parent: Draft | None = None
    branch: str = ""
    order: int = 0

    @property
    def each(self) -> bool:
        return "for_each" in self.fields

    def ancestors(self) -> Iterator[Draft]:
        """Those that enclose it, the nearest first."""
        step = self.parent
        while step is not None:
            yield step
            step = step.parent

    def build(self) -> Step:
        """Only of a draft without faults."""
        fields = dict(self.fields)
        if self.kind == "steps":
            fields["steps"] = built(self.bodies["steps"])
        elif self.kind == "parallel":
            fields["branches"] = {name: built(body) for name, body in self.bodies.items()}
        if self.recovery is not None:
            fields["on_error"] = Recovery(steps=built(self.recovery))
        assert self.kind is not None
        return MODELS[self.kind](id=self.id, **fields)


def built(drafts: list[Draft]) -> tuple[Step, ...]:
    return tuple(draft.build() for draft in drafts)


@dataclass(frozen=True)
class Trigger:
    path: Path
    trigger: ScheduleTrigger | EventTrigger
    written: list[Written]


@dataclass
class FlowDraft:
    """`steps` holds the top level, `every` all of them in the order of the file."""

    inputs: dict[str, Schema] = field(default_factory=dict[str, Schema])
    triggers: list[Trigger] = field(default_factory=list[Trigger])
    steps: list[Draft] = field(default_factory=list[Draft])
    every: list[Draft] = field(default_factory=list[Draft])
    output: Written | None = None
    fields: dict[str, Any] = field(default_factory=dict[str, Any])

    def build(self) -> Flow:
        """Only of a draft without faults."""
        fields = dict(self.fields)
        if self.output is not None:
            fields |= {"output": self.output.value, "has_output": True}
        return Flow(
            inputs=self.inputs,
            triggers=tuple(each.trigger for each in self.triggers),
            steps=built(self.steps),
            **fields,
        )
