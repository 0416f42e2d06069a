"""Hostile expressions: each ends, as a fault or with a value, within the work that was allowed."""

from __future__ import annotations

import sys
import tracemalloc
from time import process_time
from typing import Any

import pytest

from core.expression import ExpressionFault, Meter, compile_expression
from core.template import TemplateFault, compile_template


def nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


HUGE = 1 << 1_000_000
SCOPE: dict[str, Any] = {
    "r": list(range(2_000)),
    "rows": [{"id": n, "name": f"n{n}", "text": "x" * 200} for n in range(4_300)],
    "text": "a" * 1_000_000,
    "wide_text": "é" * 500_000,
    "control": "\x01" * 1_000_000,
    "short": "a" * 2_499,
    "middle": "a" * 29_999,
    "strings": ["a" * 500 + str(n) for n in range(3_000)],
    "floats": [n * 1.234567e-300 for n in range(20_000)],
    "map": {str(n): n for n in range(100_000)},
    "long_keys": {f"k{n}" * 1_000: 1 for n in range(100)},
    "deep": nested(400),
    "huge": HUGE,
    "huge_copy": HUGE + 0,
    "huge_list": [HUGE] * 50,
    # Numbers that hash alike, and lists that do.
    "colliding": [(2**61 - 1) * n for n in range(20_000)],
    "colliding_lists": [[-1 - (n >> bit & 1) for bit in range(14)] for n in range(1 << 14)],
}
TWICE = "r.all(x, r.all(y, {}))"
MANY = "r.all(x, {})"
DOUBLED = "[[1, 2]]" + ".map(x, [x, x])" * 40

OUT_OF_FUEL = {
    "three loops": "r.all(x, r.all(y, r.all(z, true)))",
    "a long range": "range(1000000000)",
    "a loop over ranges": "range(100000).all(x, range(100000).all(y, x * y >= 0))",
    "lists in a list": "range(100000).map(x, [x])",
    "maps in a list": "range(100000).map(x, {'a': x})",
    "strings in a list": "range(100000).map(x, string(x) + 'abcdefghijklmno')",
    "a doubling string": "['ab']" + ".map(x, x + x)" * 40,
    "a doubling list": "[[1, 2, 3]]" + ".map(x, x + x)" * 40,
    "a doubling tree": DOUBLED,
    "a doubling tree as JSON": f"json({DOUBLED})",
    "doubling trees compared": f"{DOUBLED[:-75]} == {DOUBLED[:-75]}",
    "a doubling tree made distinct": f"({DOUBLED}).distinct()",
    "one value a thousand times": "range(1000).map(x, rows)",
    "large values compared": MANY.format("rows == rows"),
    "long keys compared": MANY.format("long_keys == long_keys"),
    "large values as JSON": MANY.format("json(rows) != ''"),
    "characters that JSON escapes": MANY.format("json(control) != ''"),
    "numbers that print slowly": MANY.format("json(floats) != ''"),
    "numbers joined": MANY.format("floats.join() != ''"),
    "absorbed faults": "r.exists(x, r.exists(y, y.z || y.z || 1 / 0 > 1))",
    "absorbed faults of functions": "r.exists(x, r.exists(y, int(text) > int('q')))",
    "a bomb of replacements": "text.replace('a', text)",
    "replacements in a row": "'aaaaaaaaaa'" + ".replace('a', 'aaaaaaaaaa')" * 20,
    "replacing nothing": "text.replace('', text)",
    "many replacements": MANY.format("wide_text.replace('é', 'e') != ''"),
    "splitting": "text.split('a')",
    "splitting into characters": "text.split('')",
    "splitting often": MANY.format("short.split('a') != []"),
    "joining": "r.join(text)",
    "a slow search, short": "[short.substring(0, 1000) + 'ba'].all(p, "
    + TWICE.format("!short.contains(p)")
    + ")",
    "a slow search, longer": "[short.substring(0, 48) + 'b' + short.substring(0, 50)].all(p, "
    + TWICE.format("!middle.contains(p)")
    + ")",
    "a long search": TWICE.format("text.indexOf('aaaaab') < 0"),
    "long strings compared": TWICE.format("text <= text"),
    "long strings equal": TWICE.format("text == text"),
    "long beginnings": TWICE.format("text.startsWith(text)"),
    "looking for strings": TWICE.format("!('b' in strings)"),
    "looking for numbers": TWICE.format("!(-1.5 in r)"),
    "sorting numbers": MANY.format("sort(r) == r"),
    "sorting strings": MANY.format("sort(strings.reverse()) != []"),
    "sorting by": MANY.format("r.sortBy(y, -y) != []"),
    "distinct strings": MANY.format("strings.distinct() != []"),
    "lists that hash alike": "distinct(colliding_lists)",
    "the case of long texts": MANY.format("wide_text.upperAscii() != ''"),
    "copies of long texts": TWICE.format("text.substring(1, 900000) != ''"),
    "long lists made one": MANY.format("flatten([rows, rows]) != []"),
    "copies of long lists": MANY.format("rows.reverse() != []"),
    "keys of wide maps": MANY.format("map.all(k, true)"),
    "copies of wide maps": MANY.format("size(map) > 0"),
    "huge numbers compared": TWICE.format("huge <= huge_copy"),
    "huge numbers equal": TWICE.format("huge == huge_copy"),
    "huge numbers in lists": MANY.format("huge_copy in huge_list"),
    "huge numbers sorted": MANY.format("sort(huge_list) != []"),
    "huge sums, absorbed": "r.exists(x, r.exists(y, huge + huge > 0))",
    "huge products, absorbed": "r.exists(x, r.exists(y, huge * huge > 0))",
    "huge quotients, absorbed": "r.exists(x, r.exists(y, huge / 2.0 > 0.0))",
    "a huge range": "range(huge)",
    "timestamps": TWICE.format("timestamp('2020-01-01T00:00:00.123456789+05:30') > timestamp(0)"),
    "durations": TWICE.format("duration('1h30m20s10ms5us3ns') > duration('1s')"),
    "rounding": TWICE.format("round(1.5e300, 3) > 0"),
    "parsing numbers": TWICE.format("double('1.2345678901234567e-300') > 0.0"),
    "long sums in a loop": "range(100000).all(x, " + "x + " * 900 + "x >= 0)",
    "long paths in a loop": "range(100000).all(x, a" + ".b" * 1_900 + " == null)",
    "long lists in a loop": "range(100000).all(x, [" + "1," * 1_900 + "1] != [])",
}
REFUSED = {
    "a long source": "1" + " + 1" * 20_000,
    "parentheses": "(" * 2_000 + "1" + ")" * 2_000,
    "open lists": "[" * 3_999,
    "open maps": "{'a':" * 700,
    "open calls": "size(" * 799,
    "indexes": "a" + "[0]" * 1_300,
    "calls in a chain": "a" + ".size()" * 500,
    "macros in a chain": "a" + ".map(x, x)" * 390,
    "operators within each other": "a || b && c == d + e * -(" * 24 + "1" + ")" * 24,
    "an open string": "'" * 3_999,
    "other letters": "é" * 3_999,
    "a long name of a function": "a" * 3_990 + "()",
    "a number of 4,000 digits": "9" * 4_000,
    "no end of nots": "!" * 4_000,
}
ENDS = {
    "a sum of 1,999 terms": ("1" + "+1" * 1_999, None),
    "a conjunction": ("true" + "&&true" * 660, None),
    "nots": ("!" * 3_990 + "true", None),
    "minuses": ("-" * 3_999 + "1", None),
    "a path of 1,999 names": ("a" + ".b" * 1_999, None),
    "a chain of conditions": ("true?1:" * 570 + "2", None),
    "24 parentheses": ("(" * 24 + "1" + ")" * 24, None),
    "deep values compared": ("deep == deep", None),
    "numbers that hash alike": ("size(distinct(colliding))", None),
    "deep values as JSON": ("json(deep)", "nested more than 100 levels"),
    "deep values made distinct": ("distinct(deep)", "nested more than 100 levels"),
    "deep values built upon": ("[deep]", "nested more than 100 levels"),
    "a huge number as text": ("string(huge)", "more than 1024 bits"),
    "a huge number in JSON": ("json([huge])", "more than 1024 bits"),
    "a huge number as double": ("double(huge)", "too large for a double"),
    "a huge index": ("[1][huge]", "has no item so large a number"),
    "a huge start": ("'abc'.substring(huge)", None),
    "a huge epoch": ("timestamp(huge)", "64 bits"),
}


# A fifth of what an expression has in earnest: time grows with fuel, and tests should be short.
FUEL = 100_000


def seconds(source: str) -> float:
    begun = process_time()
    with pytest.raises(ExpressionFault) as caught:
        compile_expression(source)(SCOPE, Meter(FUEL))
    assert caught.value.kind == "fuel"
    return process_time() - begun


@pytest.fixture(scope="module")
def plain_loop() -> float:
    """What it takes to spend all fuel on the plainest of loops, on this machine, now."""
    return min(seconds(TWICE.format("x + y >= 0")) for _ in range(3))


@pytest.mark.parametrize("source", OUT_OF_FUEL.values(), ids=OUT_OF_FUEL.keys())
def test_an_attack_runs_out_of_fuel_before_it_costs_time(source: str, plain_loop: float) -> None:
    assert seconds(source) < 20 * plain_loop


@pytest.mark.parametrize("source", REFUSED.values(), ids=REFUSED.keys())
def test_an_attack_on_the_parser_is_refused(source: str) -> None:
    with pytest.raises(ExpressionFault) as caught:
        compile_expression(source)
    assert caught.value.kind == "syntax"
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("source", "words"), ENDS.values(), ids=ENDS.keys())
def test_an_extreme_ends_cheaply(source: str, words: str | None) -> None:
    meter = Meter()
    if words is None:
        compile_expression(source)(SCOPE, meter)
    else:
        with pytest.raises(ExpressionFault, match=words):
            compile_expression(source)(SCOPE, meter)
    assert meter.spent < meter.limit / 4


@pytest.mark.parametrize(
    "name",
    [
        "a doubling string",
        "a doubling tree as JSON",
        "a bomb of replacements",
        "maps in a list",
        "strings in a list",
        "splitting",
        "characters that JSON escapes",
    ],
)
def test_an_attack_holds_little_memory(name: str) -> None:
    expression = compile_expression(OUT_OF_FUEL[name])
    tracemalloc.start()
    try:
        with pytest.raises(ExpressionFault, match="out of fuel"):
            expression(SCOPE, Meter(FUEL))
        assert tracemalloc.get_traced_memory()[1] < 80 * FUEL
    finally:
        tracemalloc.stop()


def test_an_exhausted_meter_allows_nothing_more() -> None:
    meter = Meter(limit=100)
    for source in ("range(1000)", "a", "1 + 1", "x.exists(y, true) || true"):
        with pytest.raises(ExpressionFault) as caught:
            compile_expression(source)({"x": []}, meter)
        assert caught.value.kind == "fuel"
    assert (meter.left, meter.spent) == (0, 100)


@pytest.mark.parametrize(
    "source",
    [
        "range(1000) == [] || true",
        "range(1000) != [] && false",
        "[1000, 0].exists(x, size(range(x)) == 0)",
        "[1000, 0].all(x, size(range(x)) > 0)",
    ],
)
def test_running_out_of_fuel_is_not_absorbed(source: str) -> None:
    with pytest.raises(ExpressionFault) as caught:
        compile_expression(source)({}, Meter(limit=100))
    assert caught.value.kind == "fuel"


def test_the_deepest_expressions_leave_most_of_the_stack() -> None:
    frame, depth = sys._getframe(), 0
    while frame := frame.f_back:
        depth += 1
    limit = sys.getrecursionlimit()
    # The first two are parsed and refused, the others run a hundred operations deep.
    hostile = [*REFUSED.values(), "a" + ".map(x, x)" * 98, "a" + "[0]" * 98]
    hostile.append("[1].map(x, " * 20 + "x" + "[?0]" * 60 + ")" * 20)
    sys.setrecursionlimit(depth + 480)
    try:
        for source in hostile:
            with pytest.raises(ExpressionFault):
                compile_expression(source)({"a": 1}, Meter())
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize(
    "text",
    [
        *("${" * 50_000, "${a" * 33_000, "${'" * 33_000, "${''" * 20_000, "${\"\"\"'''" * 10_000),
        *("${'''" * 20_000, "${{" * 33_000, "${a}" * 1_001, "${" + " " * 90_000 + "}"),
        *("a" * 100_000 + "${b}", "${r'" * 25_000, "${'a\\" * 20_000),
    ],
    ids=lambda text: text[:10],
)
def test_an_attack_on_the_template_scanner_is_refused(text: str) -> None:
    begun = process_time()
    with pytest.raises(TemplateFault):
        compile_template(text)
    assert process_time() - begun < 1


def test_a_template_of_a_thousand_large_values_runs_out_of_fuel() -> None:
    for value in (
        ["${rows}"] * 1_000,
        "${rows}" * 1_000,
        ["${map}", {"a": "${map}", "b": "${map}"}],
    ):
        template = compile_template(value)
        with pytest.raises(ExpressionFault) as caught:
            template.render(SCOPE, Meter())
        assert caught.value.kind == "fuel"
