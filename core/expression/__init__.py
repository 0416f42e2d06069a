"""A small CEL: deterministic, and bounded by work instead of time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from core.expression.compiler import Compiler, Reference
from core.expression.fault import ExpressionFault, FaultKind
from core.expression.fuel import FUEL, Meter, text_cost
from core.expression.lexer import MAX_SOURCE, closing_brace
from core.expression.macros import Evaluate
from core.expression.parser import parse
from core.expression.values import as_text, settle, weigh

__all__ = [
    "FUEL",
    "MAX_SOURCE",
    "Expression",
    "ExpressionFault",
    "FaultKind",
    "Meter",
    "Reference",
    "as_text",
    "closing_brace",
    "compile_expression",
    "text_cost",
    "weigh",
]

REMEMBERED = 256


class Expression:
    """Call it with a scope of JSON values and a meter; the answer shares parts with the scope."""

    __slots__ = ("_cells", "_makes_times", "_multiplies", "_run", "references", "source")

    def __init__(self, source: str, run: Evaluate, compiler: Compiler) -> None:
        self.source = source
        self.references = tuple(sorted(compiler.references, key=lambda read: read.position))
        self._run = run
        self._cells = compiler.cells
        self._makes_times = compiler.makes_times
        self._multiplies = compiler.multiplies or compiler.makes_times

    def __call__(self, scope: Mapping[str, Any], meter: Meter) -> Any:
        value = self._run(scope, meter, [None] * self._cells)
        if self._multiplies:
            # The same part may be in the answer a thousand times over.
            weigh(value, meter)
            return settle(value) if self._makes_times else value
        return value


def compile_expression(source: str) -> Expression:
    """Raises ExpressionFault. Only short sources are remembered: long ones hold too much."""
    return _remembered(source) if len(source) <= REMEMBERED else _compile(source)


def _compile(source: str) -> Expression:
    compiler = Compiler()
    run = compiler.build(parse(source), {})
    return Expression(source, run, compiler)


_remembered = lru_cache(maxsize=1_024)(_compile)
