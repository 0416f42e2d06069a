"""From the tree to closures: names are resolved once, and running is calling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.expression import access, evaluation
from core.expression.fault import ExpressionFault, syntax_fault
from core.expression.functions import FUNCTIONS, MAKES_TIMES, unknown_function, wrong_count
from core.expression.macros import MACROS, Evaluate
from core.expression.operators import OPERATORS
from core.expression.tree import (
    Call,
    Chain,
    Conditional,
    Constant,
    Index,
    ListOf,
    Logic,
    MapOf,
    Name,
    Node,
    Prefix,
    Select,
)

MAX_DEPTH = 100
SECRET = "secret"


@dataclass(frozen=True, slots=True)
class Reference:
    """A path read from the scope, as far as the source alone tells it.

    `position` counts from the start of the expression, or of the string that `pointer` names in
    a template.
    """

    path: tuple[str, ...]
    position: int
    pointer: str = ""


class Compiler:
    """One use each: what it learned about the source stays on it."""

    def __init__(self) -> None:
        self.references: list[Reference] = []
        self.cells = 0
        self.makes_times = False
        self.multiplies = False
        self._depth = 0

    def build(self, node: Node, variables: Mapping[str, int]) -> Evaluate:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise syntax_fault(
                f"more than {MAX_DEPTH} operations are nested in each other", node.position
            )
        run = _BUILDERS[type(node)](self, node, variables)
        self._depth -= 1
        return run

    def all(self, nodes: tuple[Node, ...], variables: Mapping[str, int]) -> tuple[Evaluate, ...]:
        return tuple([self.build(node, variables) for node in nodes])

    def path(self, node: Node, variables: Mapping[str, int]) -> Evaluate:
        base, names = _unwound(node)
        if not isinstance(base, Name):
            return access.from_value(self.build(base, variables), names, node.position)
        cell = variables.get(base.name)
        if cell is not None:
            return access.from_cell(cell, names, node.position)
        if base.name == SECRET:
            raise syntax_fault(
                "secrets can only be written as ${secret.name}: their values are filled in later,"
                " where they are used",
                base.position,
            )
        self.references.append(Reference((base.name, *names), base.position))
        return access.from_scope(base.name, names, node.position)

    def name(self, node: Name, variables: Mapping[str, int]) -> Evaluate:
        read = self.path(node, variables)
        return read if node.name in variables else access.snapshot(read)

    def inside(self, node: Node, variables: Mapping[str, int]) -> Evaluate:
        """For a value that is only looked into: no snapshot of it is needed."""
        return self.path(node, variables) if isinstance(node, Name) else self.build(node, variables)

    def index(self, node: Index, variables: Mapping[str, int]) -> Evaluate:
        if isinstance(node.key, Constant) and type(node.key.value) is str:
            return self.path(node, variables)
        read = access.item if node.outside == "fault" else access.item_or_null
        return read(
            self.inside(node.target, variables), self.build(node.key, variables), node.position
        )

    def call(self, node: Call, variables: Mapping[str, int]) -> Evaluate:
        if node.target is not None and node.name in MACROS:
            return self.macro(node, node.target, variables)
        if node.target is None and node.name == "has":
            return self.has(node, variables)
        function = FUNCTIONS.get(node.name)
        if function is None:
            if node.target is None and node.name in MACROS:
                raise syntax_fault(f'write "list.{node.name}(item, …)"', node.position)
            known = FUNCTIONS if node.target is None else FUNCTIONS | MACROS
            raise syntax_fault(unknown_function(node.name, known), node.position)
        own: tuple[Node, ...] = () if node.target is None else (node.target,)
        problem = wrong_count(node.name, function, len(node.arguments), len(own))
        if problem:
            raise syntax_fault(problem, node.position)
        self.makes_times = self.makes_times or node.name in MAKES_TIMES
        arguments = self.all((*own, *node.arguments), variables)
        return evaluation.call(function, arguments, node.position)

    def has(self, node: Call, variables: Mapping[str, int]) -> Evaluate:
        wanted = node.arguments[0] if len(node.arguments) == 1 else None
        if not isinstance(wanted, Select):
            raise syntax_fault('write "has(value.member)"', node.position)
        target = self.inside(wanted.target, variables)
        base, names = _unwound(wanted)
        if isinstance(base, Name) and base.name not in variables:
            self.references[-1] = Reference((base.name, *names), base.position)
        return access.presence(target, wanted.name, wanted.position)

    def macro(self, node: Call, target: Node, variables: Mapping[str, int]) -> Evaluate:
        most = 3 if node.name == "map" else 2
        if not 2 <= len(node.arguments) <= most:
            raise syntax_fault(f'write "list.{node.name}(item, …)"', node.position)
        variable, *bodies = node.arguments
        if not isinstance(variable, Name):
            raise syntax_fault(
                f"the first argument of {node.name} is a name for the item", variable.position
            )
        items = self.inside(target, variables)
        cell, self.cells = self.cells, self.cells + 1
        self.multiplies = self.multiplies or node.name == "map"
        inner = {**variables, variable.name: cell}
        run = MACROS[node.name](items, cell, self.all(tuple(bodies), inner))
        return _placed(run, node.position)

    def chain(self, node: Chain, variables: Mapping[str, int]) -> Evaluate:
        first = self.build(node.first, variables)
        rest = [
            (OPERATORS[term.sign], self.build(term.operand, variables), term.position)
            for term in node.rest
        ]
        self.multiplies = self.multiplies or any(term.sign == "+" for term in node.rest)
        if len(rest) > 1:
            return evaluation.chain(first, tuple(rest))
        operator, second, position = rest[0]
        return evaluation.operation(first, operator, second, position)

    def prefix(self, node: Prefix, variables: Mapping[str, int]) -> Evaluate:
        change = evaluation.negation if node.sign == "!" else evaluation.sign_change
        return change(self.build(node.operand, variables), node.times, node.position)

    def list(self, node: ListOf, variables: Mapping[str, int]) -> Evaluate:
        self.multiplies = True
        return evaluation.list_of(self.all(node.items, variables))

    def map(self, node: MapOf, variables: Mapping[str, int]) -> Evaluate:
        self.multiplies = True
        entries = tuple([self._pair(entry, variables) for entry in node.entries])
        return evaluation.map_of(entries, node.position)

    def logic(self, node: Logic, variables: Mapping[str, int]) -> Evaluate:
        return evaluation.logic(node.sign, self.all(node.terms, variables), node.position)

    def conditional(self, node: Conditional, variables: Mapping[str, int]) -> Evaluate:
        branches = tuple([self._pair(branch, variables) for branch in node.branches])
        return evaluation.choice(branches, self.build(node.otherwise, variables), node.position)

    def constant(self, node: Constant, _variables: Mapping[str, int]) -> Evaluate:
        return evaluation.constant(node.value)

    def _pair(
        self, pair: tuple[Node, Node], variables: Mapping[str, int]
    ) -> tuple[Evaluate, Evaluate]:
        return self.build(pair[0], variables), self.build(pair[1], variables)


_BUILDERS: dict[type, Callable[[Compiler, Any, Mapping[str, int]], Evaluate]] = {
    Call: Compiler.call,
    Chain: Compiler.chain,
    Conditional: Compiler.conditional,
    Constant: Compiler.constant,
    Index: Compiler.index,
    ListOf: Compiler.list,
    Logic: Compiler.logic,
    MapOf: Compiler.map,
    Name: Compiler.name,
    Prefix: Compiler.prefix,
    Select: Compiler.path,
}


def _unwound(node: Node) -> tuple[Node, tuple[str, ...]]:
    """`a.b["c"]` is the base `a` and the names `b`, `c`."""
    names: list[str] = []
    while True:
        if isinstance(node, Select):
            names.append(node.name)
            node = node.target
        elif (
            isinstance(node, Index)
            and isinstance(node.key, Constant)
            and type(node.key.value) is str
        ):
            names.append(node.key.value)
            node = node.target
        else:
            return node, tuple(reversed(names))


def _placed(run: Evaluate, position: int) -> Evaluate:
    """Faults of the macro itself point at its name; those of its body have their own place."""

    def placed(scope: Any, meter: Any, cells: list[Any]) -> Any:
        try:
            return run(scope, meter, cells)
        except ExpressionFault as fault:
            fault.at(position)
            raise

    return placed
