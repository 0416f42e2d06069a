"""What running each kind of node means, given how to run its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from core.expression.fault import ExpressionFault, OutOfFuel
from core.expression.fuel import Meter, exhausted
from core.expression.functions import Function
from core.expression.macros import ABSORBED, Evaluate, not_a_bool
from core.expression.operators import Operator, negate
from core.expression.values import kind_of


def constant(value: Any) -> Evaluate:
    def run(_scope: Mapping[str, Any], _meter: Meter, _cells: list[Any]) -> Any:
        return value

    return run


def operation(left: Evaluate, operator: Operator, right: Evaluate, position: int) -> Evaluate:
    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        first, second = left(scope, meter, cells), right(scope, meter, cells)
        meter.left -= 1
        if meter.left < 0:
            raise exhausted(meter)
        try:
            return operator(first, second, meter)
        except ExpressionFault as fault:
            fault.at(position)
            raise

    return run


def chain(first: Evaluate, rest: tuple[tuple[Operator, Evaluate, int], ...]) -> Evaluate:
    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        value = first(scope, meter, cells)
        for operator, operand, position in rest:
            following = operand(scope, meter, cells)
            meter.charge(1)
            try:
                value = operator(value, following, meter)
            except ExpressionFault as fault:
                fault.at(position)
                raise
        return value

    return run


def logic(sign: Literal["&&", "||"], terms: tuple[Evaluate, ...], position: int) -> Evaluate:
    """As in CEL, one deciding term absorbs the faults of all others, on either side of it."""
    decisive = sign == "||"

    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        fault: ExpressionFault | None = None
        for term in terms:
            meter.charge(1)
            try:
                value = term(scope, meter, cells)
                if value is decisive:
                    return value
                if type(value) is not bool:
                    raise not_a_bool(sign, value).at(position)
            except OutOfFuel:
                raise
            except ExpressionFault as absorbed:
                meter.charge(ABSORBED)
                fault = fault or absorbed
        if fault:
            raise fault
        return not decisive

    return run


def negation(operand: Evaluate, times: int, position: int) -> Evaluate:
    odd = times % 2 == 1

    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        meter.charge(1)
        value = operand(scope, meter, cells)
        if type(value) is not bool:
            raise not_a_bool("!", value).at(position)
        return value is not odd

    return run


def sign_change(operand: Evaluate, times: int, position: int) -> Evaluate:
    # Two in a row are still done: they refuse what one refuses.
    turns = 2 - times % 2

    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        value = operand(scope, meter, cells)
        try:
            for _ in range(turns):
                meter.charge(1)
                value = negate(value)
        except ExpressionFault as fault:
            fault.at(position)
            raise
        return value

    return run


def choice(
    branches: tuple[tuple[Evaluate, Evaluate], ...], otherwise: Evaluate, position: int
) -> Evaluate:
    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        for condition, chosen in branches:
            meter.charge(1)
            verdict = condition(scope, meter, cells)
            if verdict is True:
                return chosen(scope, meter, cells)
            if verdict is not False:
                raise not_a_bool("?", verdict).at(position)
        return otherwise(scope, meter, cells)

    return run


def list_of(items: tuple[Evaluate, ...]) -> Evaluate:
    cost = 2 + len(items)

    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        meter.charge(cost)
        return [item(scope, meter, cells) for item in items]

    return run


def map_of(entries: tuple[tuple[Evaluate, Evaluate], ...], position: int) -> Evaluate:
    cost = 4 + 2 * len(entries)

    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        meter.charge(cost)
        made: dict[str, Any] = {}
        for key, value in entries:
            name = key(scope, meter, cells)
            if type(name) is not str:
                raise ExpressionFault(
                    f"the keys of a map are strings, found {kind_of(name)}", position
                )
            meter.charge(len(name) >> 6)
            if name in made:
                raise ExpressionFault(f'the key "{name[:40]}" is there twice', position)
            made[name] = value(scope, meter, cells)
        return made

    return run


def call(function: Function, arguments: tuple[Evaluate, ...], position: int) -> Evaluate:
    perform = function.call
    cost = 2 + len(arguments)

    def run(scope: Mapping[str, Any], meter: Meter, cells: list[Any]) -> Any:
        given = [argument(scope, meter, cells) for argument in arguments]
        meter.left -= cost
        if meter.left < 0:
            raise exhausted(meter)
        try:
            return perform(meter, *given)
        except ExpressionFault as fault:
            fault.at(position)
            raise

    return run
