"""Which names the expressions of a flow may read, and from where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.draft import Draft, FlowDraft, Written
from core.expression import ExpressionFault, Reference, compile_expression
from core.faults import Place, near, quoted
from core.outputs import Outputs
from core.run import Workspace
from core.source import Path, Report
from core.template import MAX_TEXT, Template, TemplateFault, compile_template

ROOTS = ("inputs", "steps", "status", "errors", "vars", "event", "workspace", "run")
OF_ITEM = ("item", "index")
OF_RUN = ("id", "skill", "lineage", "trigger", "started_at")
OF_WORKSPACE = tuple(Workspace.model_fields)
MAX_BROKEN = 10


def check_names(report: Report, flow: FlowDraft) -> None:
    """Compiles every template and expression, and looks up each name it reads."""
    names = _Names(report, flow)
    for step in flow.every:
        for written in step.written:
            names.check(written, step)
    if flow.output is not None:
        names.check(flow.output, None)
    for trigger in flow.triggers:
        for written in trigger.written:
            for reference in references(report, written):
                _check_trigger(report, written, reference)


def template(report: Report, path: Path, value: Any) -> Template | None:
    _check_keys(report, path, value)
    try:
        return compile_template(value)
    except TemplateFault as broken:
        here = pointed(path, value, broken.pointer)
        _tell(report, here, at(value, here[len(path) :]), broken.fault, 0)
        return None


def references(report: Report, written: Written) -> Iterable[Reference]:
    if written.file is not None:
        return _of_file(written.file, written.value)
    if written.kind == "template":
        compiled = template(report, written.path, written.value)
        return compiled.references if compiled is not None else ()
    try:
        return compile_expression(written.value).references
    except ExpressionFault as broken:
        _tell(report, written.path, written.text, broken, written.offset)
        return ()


def _of_file(report: Report, text: str) -> Iterable[Reference]:
    """A file is read on behind what is broken in it, so that all of it is told at once."""
    rest = text
    for _ in range(MAX_BROKEN):
        try:
            return compile_template(rest).references
        except TemplateFault as broken:
            _tell(report, (), text, broken.fault, 0)
            position = broken.fault.position
            start = rest.rfind("${", 0, position + 2) if position is not None else -1
            if start < 0 or len(text) > MAX_TEXT:
                break
            rest = f"{rest[:start]}  {rest[start + 2 :]}"
    return ()


def pointed(path: Path, value: Any, pointer: str) -> Path:
    """Where a JSON pointer into the value leads in the source."""
    here = path
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        here = (*here, int(name) if isinstance(value, list) else name)
        value = at(value, here[-1:])
    return here


def at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _check_keys(report: Report, path: Path, value: Any) -> None:
    inner = enumerate(value) if isinstance(value, list) else ()
    for key, each in value.items() if isinstance(value, dict) else inner:
        here = (*path, key)
        if isinstance(key, str) and "${" in key:
            report.error_at_key(here, f"{quoted(key)}: only values hold `${{…}}`, keys do not")
        if isinstance(each, dict | list):
            _check_keys(report, here, each)


def _tell(report: Report, path: Path, text: Any, broken: ExpressionFault, offset: int) -> None:
    message = f"expression: {broken.message}"
    if broken.position is None or not isinstance(text, str):
        report.error(path, message)
    else:
        report.error_inside(path, text, broken.position + offset, message)


def _check_trigger(report: Report, written: Written, reference: Reference) -> None:
    root = reference.path[0]
    if root in ("event", "workspace"):
        return
    message = f"unknown name {quoted(root)}; a trigger sees `event` and `workspace`"
    report.faults.error(report.source.file, message, _place(report, written, reference))


def _place(report: Report, written: Written, reference: Reference) -> Place | None:
    if written.kind == "expression":
        position = reference.position + written.offset
        return report.source.inside(written.path, written.text, position)
    path = pointed(written.path, written.value, reference.pointer)
    text = at(written.value, path[len(written.path) :])
    return report.source.inside(path, text, reference.position)


@dataclass
class _Names:
    report: Report
    flow: FlowDraft

    def __post_init__(self) -> None:
        self._steps = {step.id: step for step in reversed(self.flow.every) if step.id}
        self._setters: dict[str, list[Draft]] = {}
        for step in self.flow.every:
            for name in step.fields.get("values", ()):
                self._setters.setdefault(name, []).append(step)
        self._outputs = Outputs(self._steps)

    def check(self, written: Written, reader: Draft | None) -> None:
        report = written.file or self.report
        for reference in references(report, written):
            if report.faults.full:
                return
            tell = report.faults.error
            message = self._fault(reference.path, written, reader)
            if message is None:
                tell = report.faults.warn
                message = self._outputs.doubt(reference.path, self._giver(written, reader))
            if message is not None:
                tell(report.source.file, message, _place(report, written, reference))

    def _fault(self, path: tuple[str, ...], written: Written, reader: Draft | None) -> str | None:
        root, *rest = path
        if root in OF_ITEM:
            return None if self._sees_item(written, reader) else _no_item(root, written)
        if root not in ROOTS:
            return self._unknown_root(root)
        if not rest:
            return None
        match root:
            case "inputs":
                return _missing("input", rest[0], self.flow.inputs)
            case "workspace":
                return _missing("name in `workspace`:", rest[0], OF_WORKSPACE)
            case "run":
                return _missing("name in `run`:", rest[0], OF_RUN)
            case "vars":
                return self._variable_fault(rest[0], reader)
            case "event":
                return None
            case _:
                return self._step_fault(root, rest[0], reader)

    def _sees_item(self, written: Written, reader: Draft | None) -> bool:
        return self._giver(written, reader) is not None

    def _giver(self, written: Written, reader: Draft | None) -> Draft | None:
        """The step whose `for_each` makes the `item` that is seen here."""
        if reader is None or (reader.each and written.item == "seen"):
            return reader
        return next((step for step in reader.ancestors() if step.each), None)

    def _unknown_root(self, root: str) -> str:
        for place, known in (("inputs", self.flow.inputs), ("steps", self._steps)):
            if root in known:
                return f"unknown name {quoted(root)}; write `{place}.{root}`"
        return f"unknown name {quoted(root)}{near(root, (*ROOTS, *OF_ITEM))}"

    def _variable_fault(self, name: str, reader: Draft | None) -> str | None:
        setters = self._setters.get(name)
        if setters is None:
            hint = near(name, self._setters) or "; no step of this flow sets anything"
            return f"no step sets `vars.{name}`{hint}"
        inside = [step for step in setters if _foreign_items(step, reader) is None]
        if not inside:
            return (
                f"`vars.{name}` is set inside the items of `for_each`, and stays there:"
                " return it as the item's output"
            )
        if reader is not None and all(step.order >= reader.order for step in inside):
            return f"`vars.{name}` is only set later, by `{inside[0].id}`"
        return None

    def _step_fault(self, root: str, name: str, reader: Draft | None) -> str | None:
        step = self._steps.get(name)
        if step is None:
            hint = near(name, self._steps)
            return f"unknown step `{root}.{name}`{hint}"
        around = [] if reader is None else [reader, *reader.ancestors()]
        if step in around:
            return self._unfinished(root, step, around)
        if reader is not None and step.order > reader.order:
            return f"`{name}` comes later: a step sees only those before it"
        if (each := _foreign_items(step, reader)) is not None:
            return (
                f"`{name}` runs once for each item of `{each.id}`: its outputs are only known"
                f" inside; `steps.{each.id}` is the list of all"
            )
        if (beside := _beside(step, reader)) is not None:
            return f"`{name}` runs at the same time, in another branch of `{beside.id}`"
        return None

    def _unfinished(self, root: str, step: Draft, around: list[Draft]) -> str | None:
        within = around[around.index(step) - 1] if step is not around[0] else None
        if within is None or within.branch != "on_error":
            return f"`{step.id}` has not finished here: this is part of it"
        if root == "steps":
            return f"`{step.id}` has failed here: it has no output; `errors.{step.id}` says why"
        return None


def _missing(what: str, name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str | None:
    return None if name in known else f"unknown {what} {quoted(name)}{near(name, known)}"


def _no_item(root: str, written: Written) -> str:
    if written.item == "unseen":
        return f"`{root}` is not known in `for_each` itself: it is what `for_each` makes"
    return f"`{root}` is known only in a step with `for_each`, and inside it"


def _foreign_items(step: Draft, reader: Draft | None) -> Draft | None:
    """The outermost `for_each` around the step that is not around the reader as well."""
    around = set() if reader is None else {id(each) for each in (reader, *reader.ancestors())}
    foreign = [each for each in step.ancestors() if each.each and id(each) not in around]
    return foreign[-1] if foreign else None


def _beside(step: Draft, reader: Draft | None) -> Draft | None:
    """The `parallel` of which both are part, in different branches."""
    if reader is None:
        return None
    branches = {id(below.parent): below for below in (reader, *reader.ancestors())}
    for below in (step, *step.ancestors()):
        other = branches.get(id(below.parent))
        if below.parent is None or other is None:
            continue
        apart = below.branch != other.branch and "on_error" not in (below.branch, other.branch)
        return below.parent if apart else None
    return None
