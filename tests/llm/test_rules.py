"""The strict server is strict: each of its rules refuses what breaks it, by name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from llm.demo import completions_rules, messages_rules
from llm.demo.refused import Refused
from llm.demo.traits import marked, signature

Body = dict[str, Any]
Break = Callable[[Body], Any]
HEADERS = {"anthropic-version": "2026-10-21"}
OBJECT = {"type": "object", "properties": {"id": {"type": "integer"}}}
SONNET = "claude-sonnet-5-5"


def text(text: str) -> Body:
    return {"type": "text", "text": text}


def use(id: str, **fields: Any) -> Body:
    return {"type": "tool_use", "id": id, "name": "lookup", "input": {}, **fields}


def result(id: str, **fields: Any) -> Body:
    return {"type": "tool_result", "tool_use_id": id, "content": "3", **fields}


def messages_body(*more: Body) -> Body:
    return {
        "model": "claude-haiku-5-5",
        "max_tokens": 100,
        "system": "Be brief.",
        "tools": [{"name": "lookup", "description": "", "input_schema": OBJECT}],
        "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": [use("a"), use("b")]},
            {"role": "user", "content": [result("a"), result("b"), text("And?")]},
            *more,
        ],
    }


def at(*path: str | int, to: Any) -> Break:
    """Puts something else in one place of the body."""

    def put(body: Body) -> None:
        place: Any = body
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = to

    return put


def without(name: str) -> Break:
    return lambda body: body.pop(name)


def shaped(schema: Body) -> Break:
    return at("output_config", to={"format": {"type": "json_schema", "schema": schema}})


def cached(body: Body) -> None:
    for message in body["messages"][1:]:
        for block in message["content"]:
            block["cache_control"] = {"type": "ephemeral"}


def echoing(content: list[Body]) -> Break:
    def put(body: Body) -> None:
        body["model"] = SONNET
        body["messages"][1]["content"] = content

    return put


MINE = f"call_{marked(SONNET)}_1"
THOUGHT = {"type": "thinking", "thinking": "", "signature": signature(SONNET)}
FOREIGN = {**THOUGHT, "signature": signature("claude-opus-5-5")}
FIRST = ("messages", 0, "content")
CALLS = ("messages", 1, "content")
RESULTS = ("messages", 2, "content")
SCHEMA = ("tools", 0, "input_schema")

MESSAGES: list[tuple[str, Break]] = [
    ("sampling-removed", at("temperature", to=1)),
    ("unknown-parameter", at("max_completion_tokens", to=1)),
    ("model-missing", without("model")),
    ("max-tokens", without("max_tokens")),
    ("max-tokens", at("max_tokens", to=0)),
    ("system-blank", at("system", to=" ")),
    ("system-type", at("system", to=3)),
    ("tool-name", at("tools", 0, "name", to="crm.lookup")),
    ("tool-schema-missing", at(*SCHEMA, to=None)),
    ("tool-schema-object", at(*SCHEMA, to={"type": "string"})),
    ("tool-schema-toplevel-union", at(*SCHEMA, to={"type": "object", "anyOf": []})),
    ("tool-name-duplicate", lambda body: body["tools"].append(body["tools"][0])),
    (
        "tool-choice-without-tools",
        lambda body: body.update(tool_choice={"type": "auto"}, tools=[]),
    ),
    (
        "forced-tool-choice",
        lambda body: body.update(tool_choice={"type": "any"}, model=SONNET),
    ),
    ("thinking-type", lambda body: body.update(thinking={"type": "enabled"}, model=SONNET)),
    (
        "thinking-type",
        lambda body: body.update(thinking={"type": "between_tools"}, model="claude-opus-5-5"),
    ),
    ("output-format", at("output_config", to={"format": {"type": "json_object"}})),
    ("output-schema", at("output_config", to={"format": {"type": "json_schema"}})),
    ("schema-open-object", shaped({"type": "object", "properties": {}})),
    ("schema-keyword", shaped({"type": "integer", "minimum": 1})),
    ("messages-empty", at("messages", to=[])),
    ("role", at("messages", 0, "role", to="system")),
    ("first-role", lambda body: body["messages"].pop(0)),
    ("prefill", lambda body: body["messages"].append({"role": "assistant", "content": "Well"})),
    ("content-type", at(*FIRST, to=3)),
    ("block-type", at(*FIRST, to=[{"type": "document"}])),
    ("text-empty", at(*FIRST, to="")),
    ("text-blank", at(*FIRST, to=[text(" \n")])),
    ("tool-use-role", at(*FIRST, to=[use("z")])),
    ("tool-use-id", at(*CALLS, 0, "id", to="functions.lookup:0")),
    ("tool-use-input", at(*CALLS, 0, "input", to="{}")),
    ("tool-use-duplicate", at(*CALLS, 1, "id", to="a")),
    ("tool-result-role", at(*CALLS, 0, to=result("a"))),
    ("tool-result-error-empty", at(*RESULTS, 0, to=result("a", content="", is_error=True))),
    ("tool-result-missing", lambda body: body["messages"][2]["content"].pop(0)),
    ("tool-result-orphan", at(*RESULTS, 2, to=result("nobody"))),
    ("tool-result-duplicate", at(*RESULTS, 2, to=result("a"))),
    ("tool-result-first", lambda body: body["messages"][2]["content"].insert(0, text("And?"))),
    ("tools-missing", without("tools")),
    ("cache-breakpoints", cached),
    ("thinking-signature", echoing([FOREIGN, use("a"), use("b")])),
    ("thinking-echo", lambda body: (_mine(body), body.update(model=SONNET))),
]


def _mine(body: Body) -> None:
    body["messages"][1]["content"] = [use(MINE)]
    body["messages"][2]["content"] = [result(MINE)]


def call(id: str, **fields: Any) -> Body:
    function = {"name": "lookup", "arguments": "{}"}
    return {"id": id, "type": "function", "function": function, **fields}


def completions_body() -> Body:
    function = {"name": "lookup", "description": "", "parameters": OBJECT}
    return {
        "model": "gpt-4o",
        "max_completion_tokens": 100,
        "tools": [{"type": "function", "function": function}],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]},
            {"role": "tool", "tool_call_id": "a", "content": "3"},
            {"role": "tool", "tool_call_id": "b", "content": "4"},
        ],
    }


def form(schema: Body | None, **fields: Any) -> Break:
    named = {"name": "answer", "schema": schema, "strict": True, **fields}
    return at("response_format", to={"type": "json_schema", "json_schema": named})


def both(*breaks: Break) -> Break:
    def put(body: Body) -> None:
        for each in breaks:
            each(body)

    return put


def named_by(model: str) -> Break:
    def put(body: Body) -> None:
        id = f"call_{marked(model)}_1"
        body["model"] = model
        body["messages"][2]["tool_calls"] = [call(id)]
        body["messages"][3:] = [{"role": "tool", "tool_call_id": id, "content": "3"}]

    return put


OPEN = {"type": "object", "properties": {}, "required": []}
HALF = {"type": "object", "properties": {"a": {}}, "required": [], "additionalProperties": False}
FUNCTION = ("tools", 0, "function")
TOOL_CALLS = ("messages", 2, "tool_calls")

COMPLETIONS: list[tuple[str, Break]] = [
    ("model-missing", without("model")),
    ("unknown-parameter", at("system", to="Be brief.")),
    ("unknown-parameter", at("model", to="llama-4")),
    ("max-tokens-name", lambda body: body.update(model="gpt-6-sol", max_tokens=1)),
    ("sampling-removed", lambda body: body.update(model="gpt-6-sol", temperature=1)),
    ("max-tokens", at("max_completion_tokens", to=0)),
    ("stream-options", at("stream_options", to={"include_usage": True})),
    ("tools-empty", at("tools", to=[])),
    (
        "parallel-without-tools",
        both(without("tools"), at("parallel_tool_calls", to=False)),
    ),
    ("tool-choice-without-tools", both(without("tools"), at("tool_choice", to="auto"))),
    ("tools-effort", at("model", to="gpt-6-luna")),
    ("tool-type", at("tools", 0, "type", to="custom")),
    ("tool-name", at(*FUNCTION, "name", to="x" * 65)),
    ("tool-schema-object", at(*FUNCTION, "parameters", to={"type": "string"})),
    ("tool-schema-toplevel-union", at(*FUNCTION, "parameters", to={**OBJECT, "oneOf": []})),
    ("messages-empty", at("messages", to=[])),
    ("role", at("messages", 1, "role", to="human")),
    ("content-type", at("messages", 1, "content", to=None)),
    ("tool-missing", lambda body: body["messages"].pop()),
    ("tool-missing", lambda body: body["messages"].insert(3, {"role": "user", "content": "?"})),
    ("tool-calls-empty", at(*TOOL_CALLS, to=[])),
    ("assistant-null", at(*TOOL_CALLS, to=None)),
    ("tool-id-missing", at(*TOOL_CALLS, 0, "id", to="")),
    ("tool-id-length", at(*TOOL_CALLS, 0, "id", to="x" * 65)),
    ("tool-id-duplicate", at(*TOOL_CALLS, 1, "id", to="a")),
    ("tool-arguments-type", at(*TOOL_CALLS, 0, "function", "arguments", to={})),
    ("tool-orphan", at("messages", 3, "tool_call_id", to="nobody")),
    ("tool-content-null", at("messages", 3, "content", to=None)),
    ("tool-content-type", at("messages", 3, "content", to=[{"type": "image_url"}])),
    ("reasoning-content", named_by("deepseek-v4")),
    ("thought-signature", named_by("gemini-3")),
    ("json-word", at("response_format", to={"type": "json_object"})),
    ("response-format", at("response_format", to={"type": "text"})),
    ("json-mode-only", both(form(HALF), at("model", to="deepseek-v4"))),
    ("schema-name", form(HALF, name="an answer")),
    ("output-schema", form(None)),
    (
        "strict-unknown",
        both(form(HALF), at("model", to="llama-4"), without("max_completion_tokens")),
    ),
    ("strict-root-object", form({"type": "array", "items": {"type": "string"}})),
    ("strict-root-object", form({**HALF, "anyOf": []})),
    ("strict-open-object", form(OPEN)),
    ("strict-required", form(HALF)),
    ("schema-keyword", form({**HALF, "required": ["a"], "default": {}})),
]


def test_what_breaks_no_rule_passes() -> None:
    messages_rules.check(messages_body(), HEADERS)
    completions_rules.check(completions_body(), {})


@pytest.mark.parametrize(("rule", "broken"), MESSAGES)
def test_messages_rule_refuses_what_breaks_it(rule: str, broken: Break) -> None:
    body = deepcopy(messages_body())
    broken(body)
    with pytest.raises(Refused) as refused:
        messages_rules.check(body, HEADERS)
    assert refused.value.rule == rule


def test_messages_want_a_version() -> None:
    with pytest.raises(Refused, match="version-header"):
        messages_rules.check(messages_body(), {})


@pytest.mark.parametrize(("rule", "broken"), COMPLETIONS)
def test_completions_rule_refuses_what_breaks_it(rule: str, broken: Break) -> None:
    body = deepcopy(completions_body())
    broken(body)
    with pytest.raises(Refused) as refused:
        completions_rules.check(body, {})
    assert refused.value.rule == rule


def test_every_rule_has_its_case() -> None:
    named = {rule for rule, _ in (*MESSAGES, *COMPLETIONS)} | {"version-header"}
    source = (messages_rules, completions_rules)
    known = {name for module in source for name in _rules_in(module)}
    assert known <= named | {"unknown-parameter"}
    assert len(named) >= 50


def _rules_in(module: Any) -> set[str]:
    return set(re.findall(r'"([a-z]+(?:-[a-z]+)+)",', inspect.getsource(module)))
