from __future__ import annotations

import time
from typing import Any

import pytest

from core.errors import InvalidInputs
from core.inputs import settle
from core.schema import schema_problems

DECLARED: dict[str, dict[str, Any]] = {
    "days": {"type": "integer", "default": 14, "minimum": 1},
    "owner": {"type": "string"},
    "region": {"enum": ["emea", "apac"], "required": False},
    "tags": {"type": "array", "items": {"type": "string"}, "default": []},
    "mail": {"type": "string", "format": "email", "required": False},
    "address": {
        "type": "object",
        "properties": {"zip": {"type": "string"}},
        "required": ["zip"],
        "additionalProperties": False,
        "default": {"zip": "-"},
    },
}


def refused(given: dict[str, Any], declared: dict[str, dict[str, Any]] = DECLARED) -> list[str]:
    with pytest.raises(InvalidInputs) as caught:
        settle(declared, given)
    assert caught.value.code == "invalid_inputs"
    return [f"{error.field}: {error.message}" for error in caught.value.errors]


def test_defaults_fill_what_is_not_given_and_the_order_is_the_flows() -> None:
    settled = settle(DECLARED, {"region": "emea", "owner": "ann"})
    assert settled == {
        "days": 14, "owner": "ann", "region": "emea", "tags": [], "address": {"zip": "-"},
    }  # fmt: skip
    assert list(settled) == ["days", "owner", "region", "tags", "address"]


def test_a_default_belongs_to_one_run_alone() -> None:
    settle(DECLARED, {"owner": "ann"})["tags"].append("mine")
    assert settle(DECLARED, {"owner": "ann"})["tags"] == []


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ({}, ["inputs.owner: required, but missing; expected string"]),
        ({"owner": 5}, ["inputs.owner: expected string, got 5"]),
        ({"owner": None}, ["inputs.owner: expected string, got null"]),
        ({"owner": "a", "day": 1}, ["inputs.day: unknown input; did you mean `days`?"]),
        ({"owner": "a", "days": 0}, ["inputs.days: 0 is less than the minimum of 1"]),
        ({"owner": "a", "days": "3"}, ['inputs.days: expected integer, got "3"']),
        ({"owner": "a", "region": "emae"},
         ['inputs.region: expected one of "emea", "apac", got "emae"; did you mean "emea"?']),
        ({"owner": "a", "mail": "nobody"}, ['inputs.mail: expected email, got "nobody"']),
        ({"owner": "a", "tags": ["x", 1, None]},
         ["inputs.tags[1]: expected string, got 1", "inputs.tags[2]: expected string, got null"]),
        ({"owner": "a", "address": {"city": "Bern"}},
         ["inputs.address.city: unknown", "inputs.address.zip: missing"]),
    ],
)  # fmt: skip
def test_each_wrong_field_is_named_with_what_was_expected(
    given: dict[str, Any], faults: list[str]
) -> None:
    assert refused(given) == faults


def test_the_message_counts_the_other_faults() -> None:
    with pytest.raises(InvalidInputs) as caught:
        settle(DECLARED, {"days": 0})
    assert caught.value.message == "inputs.days: 0 is less than the minimum of 1 (and 1 more)"


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [{1: 2}, {1, 2}, "\ud800", object(), 1e999, nested(5_000)])
def test_what_is_no_json_is_refused_like_any_other_value(value: Any) -> None:
    (told,) = refused({"a": value}, {"a": {"type": ["array", "object", "string", "number"]}})
    assert told == "inputs.a: no JSON value, or nested too deep"


def test_a_value_is_nested_only_so_deep_that_it_can_be_read_again() -> None:
    wide = [[n] for n in range(200)]
    assert settle({"a": {}}, {"a": wide}) == {"a": wide}
    assert settle({"a": {}}, {"a": nested(99)})
    assert refused({"a": nested(101)}, {"a": {}}) == ["inputs.a: nested more than 100 levels deep"]


def test_a_thousand_unknown_fields_are_answered_quickly_and_briefly() -> None:
    begun = time.monotonic()
    assert len(refused({f"f{n}": n for n in range(100_000)})) < 30
    assert time.monotonic() - begun < 2


def test_a_pattern_cannot_run_for_ever() -> None:
    begun = time.monotonic()
    refused({"a": "a" * 100_000 + "!"}, {"a": {"pattern": "^(a+)+$"}})
    assert time.monotonic() - begun < 2


def test_a_schema_that_cannot_be_used_is_named_as_the_reason() -> None:
    (told,) = refused({"a": "x"}, {"a": {"pattern": "(?=a)"}})
    assert told.startswith("inputs.a: its schema cannot be used: ")


def test_a_long_value_is_cut_in_the_message() -> None:
    (told,) = refused({"owner": ["x" * 10_000]})
    assert len(told) < 200


@pytest.mark.parametrize(
    ("schema", "path", "message"),
    [
        ({"type": "strng"}, ("type",), 'unknown type "strng"; did you mean `string`?'),
        ({"type": ["string", "nul"]}, ("type",), 'unknown type "nul"; did you mean `null`?'),
        ({"properties": {"a": 5}}, ("properties", "a"), "expected a JSON Schema such as"),
        ({"items": {"minimum": "x"}}, ("items", "minimum"), 'expected number, got "x"'),
        ({"$ref": "#/$defs/dael", "$defs": {"deal": {}}}, ("$ref",),
         "`#/$defs/dael` leads to no schema; did you mean `#/$defs/deal`?"),
        ({"items": {"$ref": "file:///a"}}, ("items", "$ref"), "`file:///a`: only references"),
        ({"$id": "http://x.org"}, ("$id",), "`$id` is not used here"),
        ({"$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}, (), "refers to itself"),
        ({"pattern": "(a)\\1"}, ("pattern",), "no regular expression, or one with look-around"),
        ({"pattern": "(a{1000}){1000}"}, ("pattern",), "no regular expression"),
    ],
)  # fmt: skip
def test_a_wrong_schema_is_told_with_its_place(
    schema: dict[str, Any], path: tuple[str, ...], message: str
) -> None:
    (problem,) = schema_problems(schema)
    assert (problem.path, problem.severity) == (path, "error")
    assert problem.message.startswith(message)


def test_a_keyword_that_means_nothing_is_probably_another_one() -> None:
    (problem,) = schema_problems({"type": "integer", "defualt": 3, "x-note": "ours"})
    assert (problem.path, problem.severity) == (("defualt",), "warning")
    assert problem.message.endswith("did you mean `default`?")


def test_references_inside_a_schema_are_followed() -> None:
    schema = {"$ref": "#/$defs/deal", "$defs": {"deal": {"type": "integer"}}}
    assert schema_problems(schema) == []
    assert refused({"a": "x"}, {"a": schema}) == ['inputs.a: expected integer, got "x"']


def test_data_that_looks_like_a_reference_is_data() -> None:
    schema = {"enum": [{"$ref": "https://x.org"}], "properties": {"$ref": {"type": "string"}}}
    assert schema_problems(schema) == []


def test_a_schema_that_multiplies_is_refused_before_it_is_tried() -> None:
    doubled: dict[str, Any] = {"a0": {"type": "string"}}
    for n in range(1, 40):
        below = {"$ref": f"#/$defs/a{n - 1}"}
        doubled[f"a{n}"] = {"anyOf": [below, below]}
    begun = time.monotonic()
    (problem,) = schema_problems({"$ref": "#/$defs/a39", "$defs": doubled})
    assert problem.message == "more than 2,000 parts once its references are followed"
    assert time.monotonic() - begun < 1
