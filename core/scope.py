"""What the expressions of a step see, and where the step stands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.expression import Expression, Reference, compile_expression
from core.flow import (
    ApproveStep,
    ComputeStep,
    GroupStep,
    NotifyStep,
    ParallelStep,
    PromptStep,
    SetStep,
    SkillStep,
    Step,
    WaitStep,
    every_step,
)
from core.run import Failure
from core.template import Template, compile_template

OF_AN_ITEM = ("item", "index")
FAILED, SKIPPED, SUCCEEDED = "failed", "skipped", "succeeded"


@dataclass
class Halt:
    """Set when a sibling failed: nothing new starts, what is in flight may finish."""

    parent: "Halt | None" = None
    raised: bool = False

    def __call__(self) -> bool:
        return self.raised or (self.parent is not None and self.parent())


@dataclass(frozen=True)
class Frame:
    """The names visible to a list of steps; an item of a `for_each` gets a frame of its own."""

    names: dict[str, Any]
    prefix: str = ""
    halt: Halt = field(default_factory=Halt)

    @staticmethod
    def of(known: Mapping[str, Any], prefix: str = "") -> "Frame":
        fresh: dict[str, Any] = {"steps": {}, "status": {}, "vars": {}, "errors": {}}
        return Frame({**fresh, **known}, prefix)

    def path(self, step: Step) -> str:
        return self.prefix + step.id

    def settle(self, step: Step, status: str, output: Any = None) -> None:
        self.names["status"][step.id] = status
        self.names["steps"][step.id] = output

    def blame(self, step: Step, error: Any) -> None:
        self.names["errors"][step.id] = error

    def item(self, step: Step, item: Any, index: int, halt: Halt) -> "Frame":
        """Writes of an item stay in the item; what it returns is its output."""
        names: dict[str, Any] = {**self.names, "item": item, "index": index}
        for layer in ("steps", "status", "vars", "errors"):
            names[layer] = dict(names[layer])
        return Frame(names, f"{self.prefix}{step.id}[{index}].", halt)

    def halting(self, halt: Halt) -> "Frame":
        return replace(self, halt=halt)

    def visit(self, path: str, visit: int) -> "Frame":
        return self if visit == 1 else replace(self, prefix=f"{path}#{visit}.")


def error_value(failure: Failure) -> dict[str, Any]:
    """A failure as `errors.<id>` shows it."""
    return failure.model_dump(mode="json", exclude_none=True)


def about_items(step: Step) -> bool:
    """Whether `when` asks about the item; otherwise it is asked once, before `for_each`."""
    return step.when is not None and any(
        reference.path[0] in OF_AN_ITEM for reference in condition(step.when).references
    )


def templates_of(step: Step) -> Iterable[Template]:
    """Every template of this one step, without those nested in it."""
    if step.for_each is not None:
        yield compile_template(step.for_each)
    match step:
        case ComputeStep():
            yield compile_template(step.arguments)
        case SetStep():
            yield compile_template(step.values)
        case SkillStep():
            yield compile_template(step.inputs)
        case WaitStep():
            yield compile_template([step.length, step.until])
        case ApproveStep():
            yield compile_template(step.message)
        case NotifyStep():
            yield compile_template(step.message)
        case PromptStep():
            yield compile_template(step.prompt)
        case GroupStep() | ParallelStep():
            return


def references_of(step: Step) -> list[Reference]:
    """What this step and all nested in it read."""
    found: list[Reference] = []
    for each in every_step((step,)):
        if each.when is not None:
            found.extend(condition(each.when).references)
        if isinstance(each, WaitStep) and each.matching is not None:
            found.extend(condition(each.matching).references)
        for template in templates_of(each):
            found.extend(template.references)
    return found


def condition(source: str) -> Expression:
    return compile_expression(source)


def needed(step: Step, names: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the scope that a batch of this step's items has to carry."""
    return read_by((each for each in references_of(step) if each.path[0] not in OF_AN_ITEM), names)


def read_by(references: Iterable[Reference], names: Mapping[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = {}
    for reference in references:
        root, *rest = reference.path
        if root not in names:
            continue
        if root not in ("steps", "status", "errors", "vars", "inputs") or not rest:
            part[root] = names[root]
        elif part.get(root) is not names[root] and rest[0] in names[root]:
            part.setdefault(root, {})[rest[0]] = names[root][rest[0]]
    return part


def awaited_with(matching: str | None, names: Mapping[str, Any]) -> dict[str, Any]:
    """What the condition on an awaited event reads, besides that event."""
    references = condition(matching).references if matching is not None else ()
    return read_by((each for each in references if each.path[0] != "event"), names)
