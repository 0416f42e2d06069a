"""Whatever a conversation has been through, and whatever is asked, no wire refuses it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import schema as json_schema
from core.llm import AnswersTurn, ModelQuestion, ModelTurn, ToolAnswer, ToolUse, Turn, UserTurn
from llm.demo import completions_rules, facts, messages_rules
from llm.demo.filling import fill
from llm.models import load
from llm.providers.anthropic import MessagesWire
from llm.providers.openai_compatible import CompletionsWire
from llm.providers.shapes import closed, strict
from llm.providers.transcript import mended
from tests.llm.asking import LOOKUP

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
IDS = st.sampled_from(["a", "b", "call_0", "call_1", "call_2", "functions.x:0", "x" * 90, ""])
TEXTS = st.sampled_from(["", " ", "\n", "Hello", "ERROR: no", "{}"])
USES = st.builds(
    ToolUse,
    id=IDS,
    name=st.just("lookup"),
    arguments=st.sampled_from([None, {}, {"id": 1}]),
)
UNIQUE_USES = st.lists(USES, max_size=3, unique_by=lambda use: use.id).map(tuple)
ANSWERS = st.lists(st.builds(ToolAnswer, id=IDS, content=TEXTS, failed=st.booleans()), max_size=4)
TURNS: st.SearchStrategy[Turn] = st.one_of(
    st.builds(UserTurn, text=TEXTS),
    st.builds(ModelTurn, text=TEXTS, tool_uses=UNIQUE_USES),
    st.builds(AnswersTurn, answers=ANSWERS.map(tuple)),
)
VERSION = {"anthropic-version": "any"}


@QUICK
@given(st.lists(TURNS, max_size=8), st.booleans())
def test_no_history_is_refused(turns: list[Turn], offered: bool) -> None:
    asked = (*turns, UserTurn(text="And now?"))
    tools = (LOOKUP,) if offered else ()
    for provider, wire in (("anthropic", MessagesWire()), ("openai", CompletionsWire())):
        name = f"{provider}/m"
        question = ModelQuestion(model=name, turns=asked, tools=tools)
        request = wire.asking(question, load().profile(name)).request
        rules = messages_rules if provider == "anthropic" else completions_rules
        rules.check(json.loads(json.dumps(request)), VERSION)


@QUICK
@given(st.lists(TURNS, max_size=8))
def test_mending_twice_is_mending_once(turns: list[Turn]) -> None:
    once = mended(turns, "anthropic/m")
    assert mended(once, "anthropic/m") == once


@QUICK
@given(st.lists(TURNS, max_size=8))
def test_every_call_has_one_answer_right_after_it(turns: list[Turn]) -> None:
    whole = mended(turns, "anthropic/m")
    for turn, after in pairwise([*whole, None]):
        if isinstance(turn, ModelTurn) and turn.tool_uses:
            assert isinstance(after, AnswersTurn)
            assert [each.id for each in after.answers] == [use.id for use in turn.tool_uses]
            assert all(each.content.strip() for each in after.answers)


def test_answers_stay_with_their_calls_when_ids_change() -> None:
    uses = tuple(ToolUse(id=f"functions.x:{n}", name="x", arguments={}) for n in range(3))
    given = tuple(ToolAnswer(id=use.id, content=use.id) for use in uses)
    turns = [UserTurn(text="Go"), ModelTurn(tool_uses=uses), AnswersTurn(answers=given[::-1])]
    _, asked, answered = mended(turns, "anthropic/m")
    assert isinstance(asked, ModelTurn)
    assert isinstance(answered, AnswersTurn)
    assert [each.content for each in answered.answers] == [each.id for each in uses]
    assert [each.id for each in answered.answers] == [each.id for each in asked.tool_uses]


LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "maxLength": 5},
        {"type": "string", "format": "date"},
        {"type": "string", "enum": ["high", "low"]},
        {"type": "integer", "minimum": 3, "maximum": 9},
        {"type": "number", "description": "how much"},
        {"type": "boolean"},
        {"type": ["string", "null"]},
        {"const": "fixed"},
        {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        {"$ref": "#/$defs/part"},
    ]
)


def _object(children: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["name", "deal_id", "amount", "notes", "ok"])
    properties = st.dictionaries(names, children, min_size=1, max_size=4)
    return st.tuples(properties, st.booleans()).map(
        lambda made: {
            "type": "object",
            "properties": made[0],
            **({"required": sorted(made[0])[:1]} if made[1] else {}),
        }
    )


SCHEMAS = st.recursive(
    LEAVES,
    lambda children: st.one_of(
        _object(children), children.map(lambda items: {"type": "array", "items": items})
    ),
    max_leaves=6,
).map(lambda schema: {**schema, "$defs": {"part": {"type": "integer"}}})
TEXT = 'Deal: Acme\nAmount: 1,200\nIt closed on 2026-10-01. {"deals": [{"name": "A"}], "ok": true}'


@QUICK
@given(SCHEMAS)
def test_enforced_schemas_break_no_rule(schema: dict[str, Any]) -> None:
    both = (
        ("anthropic/m", MessagesWire(), messages_rules),
        ("openai/m", CompletionsWire(), completions_rules),
    )
    for name, wire, rules in both:
        turns = (UserTurn(text=TEXT),)
        question = ModelQuestion(model=name, turns=turns, output_schema=schema)
        request = wire.asking(question, load().profile(name)).request
        rules.check(request, VERSION)
        assert "output_config" in request or "response_format" in request


@QUICK
@given(SCHEMAS)
def test_what_is_filled_in_and_read_back_fits_the_schema_that_was_wanted(
    schema: dict[str, Any],
) -> None:
    for shape in (closed(schema), strict(schema)):
        assert shape.enforced is not None
        filled = json.dumps(fill(shape.enforced, facts.read(TEXT)))
        found = json_schema.problems(schema, json.loads(shape.read(filled)))
        # Bounds are only told in words to who fills it in, as they are to real models.
        assert {problem.keyword for problem in found} <= {"minimum", "maximum", "maxLength"}


@QUICK
@given(SCHEMAS)
def test_demo_model_keeps_to_every_bound_it_is_shown(schema: dict[str, Any]) -> None:
    assert json_schema.problems(schema, fill(schema, facts.read(TEXT))) == []


NESTED = {
    "type": "object",
    "properties": {
        "deals": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"id": {"type": "integer"}, "note": {"type": "string"}},
                "required": ["id"],
            },
        },
        "lost": {"type": ["string", "null"]},
        "must": {"type": "string"},
    },
    "required": ["must"],
}


def test_nulls_that_stand_for_nothing_are_dropped_and_the_others_kept() -> None:
    said = {"deals": [{"id": 1, "note": None}], "lost": None, "must": None}
    read = json.loads(strict(NESTED).read(json.dumps(said)))
    assert read == {"deals": [{"id": 1}], "lost": None, "must": None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"value": [1]}', "[1]"),
        ('```json\n{"value": [1]}\n```', "[1]"),
        ("[1, 2]", "[1, 2]"),
        ("no JSON at all", "no JSON at all"),
        ('{"value": [1', '{"value": [1'),
    ],
)
def test_list_that_had_to_be_wrapped_is_unwrapped(text: str, expected: str) -> None:
    assert closed({"type": "array", "items": {"type": "integer"}}).read(text) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
        {"type": "object", "properties": {"a": {"type": "array", "prefixItems": []}}},
        {"type": "array", "items": {"$ref": "#/items"}},
    ],
)
def test_what_no_provider_enforces_is_asked_for_in_words(schema: dict[str, Any]) -> None:
    assert strict(schema).enforced is None
    for name, wire in (("anthropic/m", MessagesWire()), ("openai/m", CompletionsWire())):
        turns = (UserTurn(text="Go"),)
        question = ModelQuestion(model=name, turns=turns, output_schema=schema)
        request = wire.asking(question, load().profile(name)).request
        assert "JSON Schema" in json.dumps(request)
        assert "output_config" not in request
