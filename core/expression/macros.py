"""Loops over lists and the keys of maps; every turn is paid for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core.expression.fault import ExpressionFault, OutOfFuel
from core.expression.fuel import Meter, exhausted
from core.expression.lists import pay_for_sorting
from core.expression.values import kind_of

# What runs an expression: the scope, the meter, and a cell for each variable of a macro.
Evaluate = Callable[[Mapping[str, Any], Meter, list[Any]], Any]
# The list, the cell of the variable, and the macro's other arguments.
Macro = Callable[[Evaluate, int, tuple[Evaluate, ...]], Evaluate]

TURN = 3
# Making and catching a fault takes longer than any operator.
ABSORBED = 6


def not_a_bool(name: str, value: Any) -> ExpressionFault:
    return ExpressionFault(f'"{name}" needs true or false, found {kind_of(value)}')


def _turns(name: str, items: Any, meter: Meter) -> list[Any]:
    if type(items) is list:
        return items
    if type(items) is dict:
        meter.charge(len(items))
        return list(items)
    raise ExpressionFault(f"{name} needs a list or a map, found {kind_of(items)}")


def _matching(name: str) -> Macro:
    def build(items: Evaluate, cell: int, bodies: tuple[Evaluate, ...]) -> Evaluate:
        (keeps,) = bodies

        def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
            kept: list[Any] = []
            for item in _turns(name, items(scope, meter, cells), meter):
                meter.left -= TURN
                if meter.left < 0:
                    raise exhausted(meter)
                cells[cell] = item
                verdict = keeps(scope, meter, cells)
                if verdict is True:
                    kept.append(item)
                elif verdict is not False:
                    raise not_a_bool(name, verdict)
            return kept

        return run

    return build


def _map(items: Evaluate, cell: int, bodies: tuple[Evaluate, ...]) -> Evaluate:
    keeps, makes = bodies if len(bodies) == 2 else (None, bodies[0])

    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        made: list[Any] = []
        for item in _turns("map", items(scope, meter, cells), meter):
            meter.left -= TURN
            if meter.left < 0:
                raise exhausted(meter)
            cells[cell] = item
            verdict = True if keeps is None else keeps(scope, meter, cells)
            if verdict is True:
                made.append(makes(scope, meter, cells))
            elif verdict is not False:
                raise not_a_bool("map", verdict)
        return made

    return run


def _quantifier(name: str, decisive: Any) -> Macro:
    """`all` is decided by the first false, `exists` by the first true, whatever fails elsewhere."""

    def build(items: Evaluate, cell: int, bodies: tuple[Evaluate, ...]) -> Evaluate:
        (holds,) = bodies

        def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
            fault: ExpressionFault | None = None
            for item in _turns(name, items(scope, meter, cells), meter):
                meter.left -= TURN
                if meter.left < 0:
                    raise exhausted(meter)
                cells[cell] = item
                try:
                    verdict = holds(scope, meter, cells)
                    if verdict is decisive:
                        return decisive
                    if type(verdict) is not bool:
                        raise not_a_bool(name, verdict)
                except OutOfFuel:
                    raise
                except ExpressionFault as absorbed:
                    meter.charge(ABSORBED)
                    fault = fault or absorbed
            if fault:
                raise fault
            return not decisive

        return run

    return build


def _exists_one(items: Evaluate, cell: int, bodies: tuple[Evaluate, ...]) -> Evaluate:
    matching = _matching("exists_one")(items, cell, bodies)

    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        return len(matching(scope, meter, cells)) == 1

    return run


def _sort_by(items: Evaluate, cell: int, bodies: tuple[Evaluate, ...]) -> Evaluate:
    (key_of,) = bodies

    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        turns = _turns("sortBy", items(scope, meter, cells), meter)
        keys: list[Any] = []
        for item in turns:
            meter.left -= TURN
            if meter.left < 0:
                raise exhausted(meter)
            cells[cell] = item
            keys.append(key_of(scope, meter, cells))
        pay_for_sorting(meter, keys, "sortBy")
        return [turns[index] for index in sorted(range(len(turns)), key=keys.__getitem__)]

    return run


MACROS: dict[str, Macro] = {
    "all": _quantifier("all", decisive=False),
    "exists": _quantifier("exists", decisive=True),
    "exists_one": _exists_one,
    "filter": _matching("filter"),
    "map": _map,
    "sortBy": _sort_by,
}
