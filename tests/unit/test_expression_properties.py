from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.expression import ExpressionFault, Meter, compile_expression
from core.template import TemplateFault, compile_template
from tests.unit.test_expression_oracle import KINDS, SCOPE, Generator

QUICK = settings(max_examples=150, deadline=None)
WORDS = [
    *("a", "b.c", "x", "ints", "rows", "map", "texts", "nothing", "1", "0", "2.5", "'t'", '"u"'),
    *("true", "null", "(", ")", "[", "]", "{", "}", ",", ":", ".", "?", "+", "-", "*", "/", "%"),
    *("!", "&&", "||", "==", "<", "in", "[?", ".?", ".map(x,", ".filter(x,", ".all(x,", "size("),
    *(
        "json(",
        "sort(",
        "range(",
        "string(",
        "timestamp(",
        "duration(",
        "has(",
        "'",
        "\\",
        "$",
        "é",
    ),
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def generated(seed: int) -> str:
    generator = Generator(seed)
    return generator.of(generator.random.choice(KINDS), generator.random.randint(1, 4))


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """An expression that nearly is one."""
    seed = draw(st.integers(0, 10_000))
    source, random = list(generated(seed)), Random(seed)
    for _ in range(draw(st.integers(0, 3))):
        at = random.randrange(len(source) + 1)
        source[at : at + random.randrange(3)] = random.choice(WORDS)
    return "".join(source)


soups = st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)
sources = st.one_of(mutated(), soups, st.text(max_size=30))


def evaluated(source: str, scope: dict[str, Any]) -> Any:
    try:
        return compile_expression(source)(scope, Meter())
    except ExpressionFault as fault:
        return fault


def not_finite(value: Any) -> bool:
    return isinstance(value, ExpressionFault) and "not finite" in value.message


def reads_back(read: Any, value: Any) -> bool:
    if isinstance(value, list):
        return len(read) == len(value) and all(map(reads_back, read, value))
    if isinstance(value, dict):
        return list(read) == list(value) and all(reads_back(read[key], value[key]) for key in value)
    # A whole double is written without a fraction, so it reads back as an int.
    return (float(read) if isinstance(value, float) else read) == value


def outcome(source: str, scope: dict[str, Any], limit: int = 500_000) -> tuple[str, int]:
    """What came out, as text in which 1, 1.0 and true differ, and the fuel that it took."""
    meter = Meter(limit)
    try:
        value = compile_expression(source)(scope, meter)
    except ExpressionFault as fault:
        return f"{fault.kind} {fault.position} {fault.message}", meter.spent
    json.dumps(value)
    return repr(value), meter.spent


@QUICK
@given(source=sources)
def test_whatever_is_written_there_is_a_json_value_or_a_fault(source: str) -> None:
    untouched = copy.deepcopy(SCOPE)
    assert outcome(source, SCOPE) == outcome(source, copy.deepcopy(SCOPE))
    assert untouched == SCOPE


@QUICK
@given(source=sources, scope=st.dictionaries(st.sampled_from(["a", "x", "ints"]), json_values))
def test_whatever_is_in_the_scope_the_second_answer_is_the_first(
    source: str, scope: dict[str, Any]
) -> None:
    assert outcome(source, scope) == outcome(source, copy.deepcopy(scope))


@QUICK
@given(seed=st.integers(0, 100_000))
def test_as_much_fuel_as_was_spent_is_enough_and_less_is_not(seed: int) -> None:
    source = generated(seed)
    answer, spent = outcome(source, SCOPE)
    assert outcome(source, SCOPE, spent) == (answer, spent)
    if spent:
        assert outcome(source, SCOPE, spent - 1)[0].startswith("fuel")


@QUICK
@given(value=json_values)
def test_json_reads_back_as_what_was_written(value: Any) -> None:
    text = evaluated("json(a)", {"a": value})
    assert not_finite(text) or reads_back(json.loads(text), value)


@QUICK
@given(left=json_values, right=json_values)
def test_equal_values_are_the_ones_that_distinct_takes_for_one(left: Any, right: Any) -> None:
    source = "[a == b, b == a, size([a, b].distinct()) == 1]"
    answers = evaluated(source, {"a": left, "b": right})
    assert not_finite(answers) or answers in ([True] * 3, [False] * 3)
    answers = evaluated(source, {"a": left, "b": copy.deepcopy(left)})
    assert not_finite(answers) or answers == [True] * 3


@QUICK
@given(text=st.lists(st.sampled_from([*WORDS, "${", "}", "$", "$${"]), max_size=20).map("".join))
def test_whatever_a_template_holds_it_renders_or_is_refused(text: str) -> None:
    try:
        template = compile_template({"k": [text]})
    except TemplateFault as refusal:
        template = refusal
    if isinstance(template, TemplateFault):
        assert template.pointer == "/k/0"
        assert template.fault.position is not None
        assert text.find("${") <= template.fault.position <= len(text)
        return
    try:
        rendered = template.render(SCOPE, Meter())
    except ExpressionFault as refusal:
        rendered = refusal
    if isinstance(rendered, ExpressionFault):
        assert rendered.kind != "syntax"
    else:
        assert template.constant or "${" in text
        json.dumps(rendered.value)


@QUICK
@given(value=json_values)
def test_a_value_without_expressions_renders_as_itself(value: Any) -> None:
    template = compile_template(value)
    if "${" not in json.dumps(value):
        assert template.constant
        assert repr(template.render({}, Meter()).value) == repr(value)


@QUICK
@given(text=st.text(alphabet="${}ab", max_size=20))
def test_what_an_expression_yields_is_never_evaluated(text: str) -> None:
    value = {"whole": "${text}", "part": "<${text}>"}
    rendered = compile_template(value).render({"text": text, "a": 1}, Meter())
    assert rendered.value == {"whole": text, "part": f"<{text}>"}
