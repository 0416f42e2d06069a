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


def same(found: Any, wanted: Any) -> bool:
    """Equal, and of the same type: 1 is neither 1.0 nor true."""
    return repr(found) == repr(wanted)


VALUES: list[tuple[str, Any]] = [
    # literals
    ("null", None),
    ("true", True),
    ("0x1F", 31),
    ("1.5e3", 1500.0),
    ("2e2", 200.0),
    ("-9223372036854775808", -(2**63)),
    (r"'a\n\t\\\'\"\x41\u00e9\U0001F600\101'", "a\n\t\\'\"Aé😀A"),
    (r"r'\n'", r"\n"),
    ('"it\'s"', "it's"),
    ("'''two\nlines'''", "two\nlines"),
    ('"""a"b"""', 'a"b'),
    ("''", ""),
    ("[1, 'a', null,]", [1, "a", None]),
    ("{'a': 1, 'b': [2],}", {"a": 1, "b": [2]}),
    ("[]", []),
    ("{}", {}),
    # arithmetic
    ("1 + 2 * 3 - 4", 3),
    ("(1 + 2) * 3", 9),
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7 / -2", -3),
    ("-7 % 3", -1),
    ("7 % -3", 1),
    ("7 / 2.0", 3.5),
    ("1 + 0.5", 1.5),
    ("5.5 % 2", 1.5),
    ("1 - -1", 2),
    ("--1", 1),
    ("---1", -1),
    ("-n", -3),
    ("'a' + 'b' + 'c'", "abc"),
    ("[1] + [2, 3]", [1, 2, 3]),
    ("9223372036854775807 + 0", 2**63 - 1),
    # comparison
    ("1 == 1.0", True),
    ("1 == true", False),
    ("0 == false", False),
    ("1 == '1'", False),
    ("null == null", True),
    ("null == false", False),
    ("[1, {'a': 2.0}] == [1.0, {'a': 2}]", True),
    ("[true] == [1]", False),
    ("{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", True),
    ("{'a': 1} == {'b': 1}", False),
    ("[1, 2] == [1]", False),
    ("[] == {}", False),
    ("[[1], 'a'] != [[2], 'a']", True),
    ("1 < 1.5", True),
    ("'a' < 'b'", True),
    ("'B' < 'a'", True),
    ("false < true", True),
    ("2 >= 2.0", True),
    ("large == large", True),
    ("large > 1", True),
    # logic
    ("!true", False),
    ("!!true", True),
    ("!!!true", False),
    ("true && true", True),
    ("false || true", True),
    ("false && 1 / 0 > 0", False),
    ("1 / 0 > 0 && false", False),
    ("1 / 0 > 0 || true", True),
    ("nothing || true", True),
    ("nothing && false", False),
    ("'no bool' && false", False),
    ("1 < 2 && 2 < 3 || 1 / 0 > 0", True),
    ("n > 2 ? 'big' : 'small'", "big"),
    ("n > 9 ? 'huge' : n > 2 ? 'big' : 'small'", "big"),
    ("true ? 1 : 1 / 0", 1),
    ("(false ? 1 : 2) + 1", 3),
    # what is missing is null
    ("missing", None),
    ("missing.a.b", None),
    ("nothing.a", None),
    ("nothing['a']", None),
    ("nothing[0]", None),
    ("map.missing", None),
    ("map.missing.deeper", None),
    ("map['missing']", None),
    ("map.?missing.?deeper", None),
    ("deals[1].owner.name", None),
    ("list[?9]", None),
    ("list[?-1]", None),
    ("list[?0]", 1),
    # members
    ("map.z", 1),
    ("map.in", 4),
    ("map['odd key']", 3),
    ("map['z']", 1),
    ("map['o' + 'dd key']", 3),
    ("list[0]", 1),
    ("list[1.0]", 2),
    ("[[1, 2], [3]][0][1]", 2),
    ("deals[0].owner.name", "Ada"),
    ("has(map.z)", True),
    ("has(map.null)", True),
    ("has(map.missing)", False),
    ("has(missing.a)", False),
    ("has(map.missing.deeper)", False),
    ("has(deals[2].owner)", False),
    # in
    ("2 in list", True),
    ("2.0 in list", True),
    ("true in [1]", False),
    ("'z' in map", True),
    ("'q' in map", False),
    ("1 in map", False),
    ("'a' in ['b', 'a']", True),
    ("{'a': 1} in [{'a': 1.0}]", True),
    # macros
    ("list.all(x, x > 0)", True),
    ("list.all(x, x > 1)", False),
    ("[].all(x, x)", True),
    ("[].exists(x, x)", False),
    ("list.exists(x, x == 2)", True),
    ("[0, 1].exists(x, 1 / x == 1)", True),
    ("[0, 1].all(x, 1 / x == 2)", False),
    ("list.exists_one(x, x == 2)", True),
    ("list.exists_one(x, x > 1)", False),
    ("list.filter(x, x != 2)", [1, 3]),
    ("list.map(x, x * 2)", [2, 4, 6]),
    ("list.map(x, x > 1, x * 2)", [4, 6]),
    ("[[1, 2], [3]].map(l, l.map(x, x + size(l)))", [[3, 4], [4]]),
    ("list.map(n, n)", [1, 2, 3]),
    ("list.map(x, list.filter(y, y < x))", [[], [1], [1, 2]]),
    ("map.map(k, k)", ["z", "a", "odd key", "in", "null"]),
    ("map.filter(k, map[k] == 2)", ["a"]),
    ("map.exists(k, k == 'in')", True),
    ("deals.sortBy(d, d.amount).map(d, d.id)", ["b", "c", "a"]),
    ("deals.sortBy(d, -d.amount).slice(0, 2).map(d, d.id)", ["a", "c"]),
    ("['b', 'a', 'B'].sortBy(s, s.lowerAscii())", ["a", "b", "B"]),
    ("[].sortBy(x, x)", []),
    # strings
    ("size('héé')", 3),
    ("'héé'.size()", 3),
    ("name.contains('d')", True),
    ("name.startsWith('A') && name.endsWith('a')", True),
    ("'Ärger ABC'.lowerAscii()", "Ärger abc"),
    ("'ärger abc'.upperAscii()", "äRGER ABC"),
    ("' \\ta '.trim()", "a"),
    ("'a,b,,c'.split(',')", ["a", "b", "", "c"]),
    ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
    ("'a,b'.split(',', 0)", []),
    ("'abc'.split('')", ["a", "b", "c"]),
    ("'abc'.split('', 2)", ["a", "bc"]),
    ("'abc'.split('', 3)", ["a", "b", "c"]),
    ("''.split('')", []),
    ("''.split(',')", [""]),
    ("['a', 'b'].join(', ')", "a, b"),
    ("['a', 1, 2.0, true].join()", "a12true"),
    ("[].join('-')", ""),
    ("'aXbX'.replace('X', '--')", "a--b--"),
    ("'aaa'.replace('a', 'b', 2)", "bba"),
    ("'ab'.replace('', '-')", "-a-b-"),
    ("'hello'.substring(1)", "ello"),
    ("'hello'.substring(1, 3)", "el"),
    ("'hello'.substring(2, 99)", "llo"),
    ("'hello'.substring(9)", ""),
    ("'hello'.substring(1.0, 2.0)", "e"),
    ("'hello'.indexOf('l')", 2),
    ("'hello'.indexOf('l', 3)", 3),
    ("'hello'.indexOf('z')", -1),
    # conversions
    ("string(1.0)", "1"),
    ("string(0.1 + 0.2)", "0.30000000000000004"),
    ("string(1e20)", "100000000000000000000"),
    ("string(1e21)", "1e+21"),
    ("string(0.00001)", "0.00001"),
    ("string(1e-8)", "1e-08"),
    ("string(-0.0)", "0"),
    ("string(whole / 2)", "2"),
    ("string(true)", "true"),
    ("string('a')", "a"),
    ("int(1.9)", 1),
    ("int(-1.9)", -1),
    ("int('-12')", -12),
    ("int(timestamp('1970-01-01T00:01:00Z'))", 60),
    ("double('1.5e1')", 15.0),
    ("double(2)", 2.0),
    ("bool('true')", True),
    ("bool('0')", False),
    ("bool(false)", False),
    ("json({'b': [1.0, null, 'é\"', 0.5], 'a': {}})", '{"b":[1,null,"é\\"",0.5],"a":{}}'),
    ("json(map)", '{"z":1,"a":2,"odd key":3,"in":4,"null":null}'),
    # numbers and lists
    ("sum(list)", 6),
    ("sum(deals.map(d, d.amount))", 600.5),
    ("sum([])", 0),
    ("min(3, 1, 2)", 1),
    ("max(list)", 3),
    ("max([1, 1.5])", 1.5),
    ("max('a', 'b')", "b"),
    ("max([])", None),
    ("sort([3, 1.5, 2])", [1.5, 2, 3]),
    ("['b', 'a'].sort().reverse()", ["b", "a"]),
    ("list.slice(1)", [2, 3]),
    ("list.slice(0, 99)", [1, 2, 3]),
    ("list.slice(7)", []),
    (
        "[1, 1.0, '1', true, [1], [1.0], {'a': 1, 'b': 2}, {'b': 2, 'a': 1}].distinct()",
        [1, "1", True, [1], {"a": 1, "b": 2}],
    ),
    ("distinct([1152921504606846976.0, 1152921504606846976])", [1152921504606846976.0]),
    ("keys(map)", ["z", "a", "odd key", "in", "null"]),
    ("values({'b': 1, 'a': 2})", [1, 2]),
    ("range(3)", [0, 1, 2]),
    ("range(0)", []),
    ("round(2.5)", 3),
    ("round(-2.5)", -3),
    ("round(2.675, 2)", 2.68),
    ("round(7)", 7),
    ("round(1e15 + 0.3, 1)", 1000000000000000.2),
    ("floor(-1.5)", -2),
    ("ceil(1.2)", 2),
    ("abs(-3)", 3),
    ("abs(-3.5)", 3.5),
    ("coalesce(nothing, missing.x, 'third')", "third"),
    ("coalesce(null)", None),
    ("coalesce(false, true)", False),
    # times
    ("timestamp('2020-02-29T12:30:00.250Z')", "2020-02-29T12:30:00.25Z"),
    ("timestamp('2020-01-01T01:00:00+02:00')", "2019-12-31T23:00:00Z"),
    ("timestamp('2020-01-05')", "2020-01-05T00:00:00Z"),
    ("timestamp(0)", "1970-01-01T00:00:00Z"),
    ("timestamp('0001-01-01')", "0001-01-01T00:00:00Z"),
    ("timestamp('2020-01-01') + duration('36h')", "2020-01-02T12:00:00Z"),
    ("duration('1h') + timestamp('2020-01-01')", "2020-01-01T01:00:00Z"),
    ("timestamp('2020-01-02') - timestamp('2020-01-01')", "86400s"),
    ("timestamp('2020-01-02') - duration('1d')", "2020-01-01T00:00:00Z"),
    ("duration('1h30m') - duration('45m')", "2700s"),
    ("-duration('1.5s')", "-1.5s"),
    ("duration('-1m')", "-60s"),
    ("duration('2w1d')", "1296000s"),
    ("duration('1ms2us3ns')", "0.001002003s"),
    ("duration('0')", "0s"),
    ("timestamp('2020-01-01') < timestamp('2020-01-01T00:00:00.000000001Z')", True),
    ("duration('60s') == duration('1m')", True),
    ("timestamp(1) == 1", False),
    ("string(duration('90m')) + '!'", "5400s!"),
    ("{'at': [timestamp(0)]}", {"at": ["1970-01-01T00:00:00Z"]}),
    ("json([timestamp(0), duration('1s')])", '["1970-01-01T00:00:00Z","1s"]'),
    ("max([timestamp(1), timestamp(2)])", "1970-01-01T00:00:02Z"),
    ("[timestamp(2), timestamp(1)].sort()", ["1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z"]),
    ("[timestamp(1), timestamp(1), 1].distinct()", ["1970-01-01T00:00:01Z", 1]),
    ("timestamp('2020-12-31T23:30:15Z').getFullYear('+01:00')", 2021),
    ("timestamp('2020-12-31T23:30:15Z').getFullYear()", 2020),
    ("timestamp('2020-12-31T23:30:15Z').getMonth()", 11),
    ("timestamp('2020-12-31T23:30:15Z').getDate()", 31),
    ("timestamp('2020-12-31T23:30:15Z').getDayOfMonth()", 30),
    ("timestamp('2020-12-31T23:30:15Z').getDayOfWeek()", 4),
    ("timestamp('2020-01-05').getDayOfWeek()", 0),
    ("timestamp('2020-12-31T23:30:15Z').getDayOfYear()", 365),
    ("timestamp('2020-12-31T23:30:15Z').getHours('-08:30')", 15),
    ("timestamp('2020-12-31T23:30:15Z').getMinutes()", 30),
    ("timestamp('2020-12-31T23:30:15Z').getSeconds('UTC')", 15),
    ("duration('-90m').getHours()", -1),
    ("duration('90m').getMinutes()", 90),
]


@pytest.mark.parametrize(("source", "wanted"), VALUES, ids=[source for source, _ in VALUES])
def test_an_expression_has_the_value_of_the_table(source: str, wanted: Any) -> None:
    assert same(evaluate(source), wanted)


FAULTS: list[tuple[str, str]] = [
    ("1 + 'a'", '"+" cannot take int and string'),
    ("'a' + 1", '"+" cannot take string and int'),
    ("true + 1", '"+" cannot take bool and int'),
    ("null + 1", '"+" cannot take null and int'),
    ("'a' * 2", '"*" cannot take string and int'),
    ("-'a'", '"-" cannot take string'),
    ("1 < 'a'", '"<" cannot take int and string'),
    ("null < 1", '"<" cannot take null and int'),
    ("[1] < [2]", '"<" cannot take list and list'),
    ("true < 1", '"<" cannot take bool and int'),
    ("timestamp(1) < 1", '"<" cannot take timestamp and int'),
    ("1 / 0", "division by zero"),
    ("1.0 / 0", "division by zero"),
    ("1 % 0", "division by zero"),
    ("9223372036854775807 + 1", "64 bits"),
    ("-9223372036854775808 - 1", "64 bits"),
    ("-(-9223372036854775808)", "64 bits"),
    ("-9223372036854775808 / -1", "64 bits"),
    ("9223372036854775807 * 2", "64 bits"),
    ("abs(-9223372036854775808)", "64 bits"),
    ("large + 1", "64 bits"),
    ("sum([9223372036854775807, 1])", "64 bits"),
    ("int(1e30)", "64 bits"),
    ("1e300 * 1e300", "not a finite number"),
    ("double('1e999')", "not a finite number"),
    ("list[3]", "a list of 3 has no item 3"),
    ("list[-1]", "no item -1"),
    ("list['a']", 'list has no member "a"'),
    ("list[0.5]", "whole number, found double"),
    ("list[true]", "whole number, found bool"),
    ("list.a", 'list has no member "a"'),
    ("name.a", 'string has no member "a"'),
    ("n.a", 'int has no member "a"'),
    ("name[0]", "string has no items"),
    ("map[1]", "by a string, found int"),
    ("has(name.a)", 'string has no member "a"'),
    ("{'a': 1, 'a': 2}", 'the key "a" is there twice'),
    ("{1: 2}", "keys of a map are strings, found int"),
    ("'a' in 'abc'", "use contains()"),
    ("1 in null", "found null"),
    ("!nothing", '"!" needs true or false, found null'),
    ("!!0", '"!" needs true or false, found int'),
    ("nothing && true", '"&&" needs true or false, found null'),
    ("1 / 0 > 0 || false", "division by zero"),
    ("nothing ? 1 : 2", '"?" needs true or false, found null'),
    ("nothing.filter(x, true)", "filter needs a list or a map, found null"),
    ("list.filter(x, x)", '"filter" needs true or false, found int'),
    ("list.map(x, x, x)", '"map" needs true or false, found int'),
    ("list.all(x, x)", '"all" needs true or false, found int'),
    ("[0, 1].all(x, 1 / x == 1)", "division by zero"),
    ("[0, 2].exists(x, 1 / x == 1)", "division by zero"),
    ("[1, 0].exists_one(x, 1 / x == 1)", "division by zero"),
    ("deals.sortBy(d, d.owner)", "sortBy cannot put map and"),
    ("sort([1, 'a'])", "sort cannot put int and string in order"),
    ("sort([null])", "sort cannot put null"),
    ("max([1, null])", "max cannot put int and null"),
    ("min(1)", "min needs a list, found int"),
    ("sum(['a'])", "sum adds numbers, found string"),
    ("sum([true])", "sum adds numbers, found bool"),
    ("size(1)", "size needs a string, a list or a map, found int"),
    ("size(null)", "found null"),
    ("keys([1])", "keys needs a map, found list"),
    ("'a'.contains(1)", "the wanted text must be a string, found int"),
    ("n.contains('a')", "the text must be a string, found int"),
    ("'abc'.substring(-1)", "from 0 on, found -1"),
    ("'abc'.substring(2, 1)", "the start (2) lies after the end (1)"),
    ("'abc'.substring('a')", "from 0 on, found string"),
    ("[null].join()", "join cannot take null"),
    ("'a'.join()", "join needs a list, found string"),
    ("string(null)", "string cannot take null"),
    ("string([1])", "use json()"),
    ("int('1.5')", 'int cannot read "1.5"'),
    ("int('1_000')", "int cannot read"),
    ("int('١')", "int cannot read"),
    ("int(true)", "int cannot read bool"),
    ("double('nan')", "double cannot read"),
    ("double('0x10')", "double cannot read"),
    ("bool('yes')", 'bool cannot read "yes"'),
    ("bool(1)", "bool cannot read int"),
    ("round('a')", "round needs a number, found string"),
    ("round(1.5, 16)", "at most 15 digits"),
    ("timestamp('yesterday')", '"yesterday" is no timestamp'),
    ("timestamp('2020-02-30')", "is no timestamp"),
    ("timestamp('2020-01-01T00:00:00')", "is no timestamp"),
    ("timestamp('2020-01-01T24:00:00Z')", "is no timestamp"),
    ("timestamp('2020-01-01T00:00:00+99:00')", "no time zone"),
    ("timestamp('9999-12-31') + duration('1d')", "years 1 and 9999"),
    ("timestamp('0001-01-01').getFullYear('-01:00')", "years 1 and 9999"),
    ("duration('5 minutes')", "is no duration"),
    ("duration('')", "is no duration"),
    ("duration('-')", "is no duration"),
    ("duration('999999999999h')", "at most 10,000 years"),
    ("timestamp(0).getHours('Europe/Vienna')", '"Europe/Vienna" is no time zone here'),
    ("'2020-01-01'.getFullYear()", "use timestamp()"),
    ("duration('1h').getFullYear()", "getFullYear cannot take duration"),
    ("timestamp(0) + timestamp(0)", '"+" cannot take timestamp and timestamp'),
    ("string(large * 1.5)", "64 bits"),
]


@pytest.mark.parametrize(("source", "words"), FAULTS, ids=[source for source, _ in FAULTS])
def test_a_fault_of_evaluation_says_what_is_wrong(source: str, words: str) -> None:
    fault = fault_of(source)
    assert words in fault.message
    assert fault.kind == "evaluation"
    assert fault.position is not None
    assert 0 <= fault.position < len(source)


SYNTAX: list[tuple[str, str, int]] = [
    ("", "there is no expression", 0),
    ("   ", "there is no expression", 3),
    ("1 +", "ends too early", 3),
    ("(1", '")" is missing', 2),
    ("a b", '"b" is not expected here', 2),
    ("1u", '"u" is not expected here', 1),
    ("a.", "a name follows a dot", 2),
    ("a.1", "a name follows a dot", 2),
    ("a = 1", 'equality is "=="', 2),
    ("a & b", 'both is "&&"', 2),
    ("'abc", "this text is never closed", 0),
    ("'a\nb'", "this text is never closed", 0),
    ("'\\q'", "is no character", 1),
    ("'\\ud800'", "is no character", 1),
    ("9223372036854775808", "64 bits", 0),
    ("1e999", "too large", 0),
    ("# a", '"#" has no meaning here', 0),
    ("a.b(", "ends too early", 4),
    ("f(1,)", '")" is not expected here', 4),
    ("a ? b", '":" is missing', 5),
    ("!-1", '"-" is not expected here', 1),
    ("while", "reserved word", 0),
    ("steps.x + package", "reserved word", 10),
    ("lenght(a)", 'there is no function "lenght"', 0),
    ("sise(a)", 'did you mean "size"?', 0),
    ("a.filtr(x, true)", 'did you mean "filter"?', 2),
    ("a.startswith('b')", 'did you mean "startsWith"?', 2),
    ("a.matches('b')", "there are no patterns here", 2),
    ("now()", "there is no clock here", 0),
    ("default(a, 1)", "coalesce", 0),
    ("size(a, b)", "size takes 1 argument, found 2", 0),
    ("'a'.substring()", "substring takes 1 to 2 arguments, found 0", 4),
    ("substring('a')", "substring takes 2 to 3 arguments, found 1", 0),
    ("max()", "max takes at least 1 arguments, found 0", 0),
    ("filter(a, x, true)", 'write "list.filter(item, …)"', 0),
    ("a.filter(x)", 'write "list.filter(item, …)"', 2),
    ("a.filter(x.y, true)", "the first argument of filter is a name", 11),
    ("a.filter('x', true)", "the first argument of filter is a name", 9),
    ("has(a)", 'write "has(value.member)"', 0),
    ("has(a['b'])", 'write "has(value.member)"', 0),
    ("secret.token", "secrets can only be written as ${secret.name}", 0),
    ("'x' + secret.token", "secrets can only be written as ${secret.name}", 6),
    ("has(secret.token)", "secrets can only be written as ${secret.name}", 4),
    ("1 + " * 1000 + "1", "at most 4,000 characters", 4000),
    ("(" * 25 + "1" + ")" * 25, "brackets are nested more than 24 deep", 24),
    ("a" + "[0]" * 120, "more than 100 operations are nested", 58),
]


@pytest.mark.parametrize(
    ("source", "words", "position"), SYNTAX, ids=[source[:30] for source, _, _ in SYNTAX]
)
def test_a_fault_of_syntax_says_what_and_where(source: str, words: str, position: int) -> None:
    fault = fault_of(source)
    assert words in fault.message
    assert (fault.kind, fault.position) == ("syntax", position)
    assert str(fault).endswith(f"(at character {position + 1})")


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
