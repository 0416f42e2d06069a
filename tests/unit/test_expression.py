from __future__ import annotations

from typing import Any

import pytest

from core.expression import Expression, ExpressionFault, Meter, Reference, compile_expression

SCOPE: dict[str, Any] = {
    "n": 3,
    "half": 0.5,
    "whole": 4.0,
    "name": "Ada",
    "nothing": None,
    "yes": True,
    "list": [1, 2, 3],
    "deals": [
        {"id": "a", "amount": 300, "owner": {"name": "Ada"}},
        {"id": "b", "amount": 100.5, "owner": None},
        {"id": "c", "amount": 200},
    ],
    "map": {"z": 1, "a": 2, "odd key": 3, "in": 4, "null": None},
    "large": 2**70,
}


def evaluate(source: str, scope: dict[str, Any] = SCOPE) -> Any:
    return compile_expression(source)(scope, Meter())


def fault_of(source: str, scope: dict[str, Any] = SCOPE) -> ExpressionFault:
    with pytest.raises(ExpressionFault) as caught:
        evaluate(source, scope)
    return caught.value


REFERENCES: list[tuple[str, list[tuple[tuple[str, ...], int]]]] = [
    ("1 + 2", []),
    ("inputs.days", [(("inputs", "days"), 0)]),
    ("steps.stale.deals", [(("steps", "stale", "deals"), 0)]),
    ("steps['stale'].deals", [(("steps", "stale", "deals"), 0)]),
    ("steps.?stale.?deals", [(("steps", "stale", "deals"), 0)]),
    ("steps.a[0].b", [(("steps", "a"), 0)]),
    ("steps.a[vars.i].b", [(("steps", "a"), 0), (("vars", "i"), 8)]),
    ("size(steps.a) + b", [(("steps", "a"), 5), (("b",), 16)]),
    ("steps.a.b.size()", [(("steps", "a", "b"), 0)]),
    ("steps.a.filter(d, d.x > vars.y)", [(("steps", "a"), 0), (("vars", "y"), 24)]),
    ("a.map(x, x.map(y, [x, y, z]))", [(("a",), 0), (("z",), 25)]),
    ("x.map(x, x)", [(("x",), 0)]),
    ("has(steps.a.b)", [(("steps", "a", "b"), 4)]),
    ("has(steps.a[0].b)", [(("steps", "a"), 4)]),
    ("[1].map(x, has(x.b))", []),
    ("false && a ? b : {'k': c}", [(("a",), 9), (("b",), 13), (("c",), 23)]),
    ("a + a", [(("a",), 0), (("a",), 4)]),
]


@pytest.mark.parametrize(("source", "wanted"), REFERENCES, ids=[source for source, _ in REFERENCES])
def test_references_are_the_paths_read_from_the_scope(
    source: str, wanted: list[tuple[tuple[str, ...], int]]
) -> None:
    found = compile_expression(source).references
    assert found == tuple(Reference(path, position) for path, position in wanted)


def test_an_answer_does_not_change_with_the_map_behind_a_name() -> None:
    scope: dict[str, Any] = {"vars": {"a": 1}}
    answers = [evaluate(source, scope) for source in ("vars", "[vars]", "{'v': vars}")]
    scope["vars"]["b"] = answers
    assert answers == [{"a": 1}, [{"a": 1}], {"v": {"a": 1}}]


def test_a_whole_value_is_handed_on_without_being_walked() -> None:
    rows = [{"id": n} for n in range(100_000)]
    meter = Meter()
    assert compile_expression("steps.all.rows")({"steps": {"all": {"rows": rows}}}, meter) is rows
    assert meter.spent < 10


def test_a_meter_counts_across_expressions() -> None:
    meter = Meter(limit=1_000)
    loop = compile_expression("range(50).all(x, x >= 0)")
    loop({}, meter)
    once = meter.spent
    loop({}, meter)
    assert meter.spent == 2 * once
    assert meter.left == 1_000 - 2 * once


def test_an_expression_keeps_nothing_between_evaluations_even_when_they_overlap() -> None:
    expression: Expression = compile_expression("list.map(x, x + other)")

    class Overlapping(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            if key == "other":
                assert expression({"list": [7, 8, 9], "other": 1}, Meter()) == [8, 9, 10]
            return super().get(key, default)

    assert expression(Overlapping(list=[1, 2], other=10), Meter()) == [11, 12]
