"""The rules of the chat completions wire: each that is broken answers 400 with its name."""

from __future__ import annotations

import json
import re
from typing import Any

from llm.demo import traits
from llm.demo.messages_rules import subschemas
from llm.demo.refused import insist, known_only

TOOL_NAMES = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
LONGEST_ID = 64
ROLES = ("system", "developer", "user", "assistant", "tool")
PLAIN = frozenset(
    (
        *("model", "messages", "tools", "max_tokens", "stream", "stream_options"),
        *("response_format",),
    )
)
KNOWN = PLAIN | frozenset(
    (
        *("tool_choice", "parallel_tool_calls", "max_completion_tokens", "reasoning_effort"),
        *("prompt_cache_key", "temperature", "top_p", "stop", "user", "service_tier"),
    )
)
Message = dict[str, Any]


def check(body: dict[str, Any], headers: dict[str, str]) -> None:
    del headers
    model = body.get("model")
    insist(isinstance(model, str), "model-missing", "you must provide a model parameter")
    model = str(model)
    if traits.plain(model):
        known_only(body, PLAIN)
    if traits.reasons(model):
        insist("max_tokens" not in body, "max-tokens-name", "use max_completion_tokens instead")
        insist("temperature" not in body, "sampling-removed", "temperature is not supported")
    known_only(body, KNOWN)
    for name in ("max_tokens", "max_completion_tokens"):
        limit = body.get(name, 1)
        insist(isinstance(limit, int) and limit > 0, "max-tokens", f"{name}: a positive integer")
    options = body.get("stream_options")
    insist(options is None or body.get("stream"), "stream-options", "only with stream")
    _tools(body)
    _messages(body)
    _format(body)


def _tools(body: dict[str, Any]) -> None:
    tools = body.get("tools")
    insist(tools is None or tools, "tools-empty", "tools: too short")
    insist(
        tools or "parallel_tool_calls" not in body,
        "parallel-without-tools",
        "parallel_tool_calls is only allowed when tools are specified",
    )
    insist(tools or "tool_choice" not in body, "tool-choice-without-tools", "needs tools")
    if tools and traits.reasons_elsewhere(body["model"]):
        insist(
            body.get("reasoning_effort") == "none",
            "tools-effort",
            "Function tools with reasoning_effort are not supported",
        )
    for tool in tools or ():
        function = tool.get("function") or {}
        insist(tool.get("type") == "function", "tool-type", "tools.type: function")
        insist(TOOL_NAMES.match(str(function.get("name"))), "tool-name", f"{function.get('name')}")
        schema = function.get("parameters", {"type": "object"})
        insist(schema.get("type") == "object", "tool-schema-object", "parameters: type object")
        union = {"anyOf", "oneOf", "allOf"} & set(schema)
        insist(not union, "tool-schema-toplevel-union", "parameters: no union at the top level")


def _messages(body: dict[str, Any]) -> None:
    messages: list[Message] = body.get("messages") or []
    insist(messages, "messages-empty", "messages: at least one")
    open_ids: list[str] = []
    for message in messages:
        insist(message.get("role") in ROLES, "role", f"role: {message.get('role')}")
        if message["role"] == "tool":
            _tool(message, open_ids)
            continue
        insist(not open_ids, "tool-missing", f"tool_call_ids without an answer: {open_ids}")
        if message["role"] == "assistant":
            open_ids = _assistant(message)
        else:
            content = message.get("content")
            insist(isinstance(content, str | list), "content-type", "content: a text")
    insist(not open_ids, "tool-missing", f"tool_call_ids without an answer: {open_ids}")
    _echoes(body["model"], messages)


def _assistant(message: Message) -> list[str]:
    calls = message.get("tool_calls")
    insist(calls is None or calls, "tool-calls-empty", "tool_calls: too short")
    has_content = message.get("content") is not None
    insist(has_content or calls, "assistant-null", "content: expected a text, got null")
    for call in calls or ():
        insist(call.get("id"), "tool-id-missing", "tool_calls.id: required")
        insist(len(call["id"]) <= LONGEST_ID, "tool-id-length", "tool_calls.id: at most 64")
        arguments = call.get("function", {}).get("arguments")
        insist(isinstance(arguments, str), "tool-arguments-type", "arguments: a text")
    ids = [call["id"] for call in calls or ()]
    insist(len(ids) == len(set(ids)), "tool-id-duplicate", "tool_calls.id: unique")
    return ids


def _tool(message: Message, open_ids: list[str]) -> None:
    answered = message.get("tool_call_id")
    insist(answered in open_ids, "tool-orphan", "must follow a message with tool_calls")
    insist(message.get("content") is not None, "tool-content-null", "content: got null")
    insist(isinstance(message["content"], str), "tool-content-type", "content: a text")
    open_ids.remove(str(answered))


def _echoes(model: str, messages: list[Message]) -> None:
    """What a model's calls came with goes back inside the loop that is still open."""
    last = max((n for n, each in enumerate(messages) if each["role"] == "user"), default=-1)
    for message in messages[last + 1 :]:
        calls = message.get("tool_calls") or []
        mine = [call for call in calls if traits.marked(model) in call["id"]]
        if not mine:
            continue
        if traits.echo(model) == "reasoning_content":
            insist(message.get("reasoning_content"), "reasoning-content", "must be passed back")
        if traits.echo(model) == "thought_signature":
            google = (mine[0].get("extra_content") or {}).get("google") or {}
            same = google.get("thought_signature") == traits.signature(model)
            insist(same, "thought-signature", "function call is missing a thought_signature")


def _format(body: dict[str, Any]) -> None:
    form = body.get("response_format")
    if form is None:
        return
    if form.get("type") == "json_object":
        words = json.dumps(body["messages"]).lower()
        insist("json" in words, "json-word", "'messages' must contain the word 'json'")
        return
    insist(form.get("type") == "json_schema", "response-format", f"type: {form.get('type')}")
    insist(
        not traits.json_mode_only(body["model"]),
        "json-mode-only",
        "this response_format type is unavailable now",
    )
    named = form.get("json_schema") or {}
    insist(TOOL_NAMES.match(str(named.get("name"))), "schema-name", "json_schema.name")
    insist(isinstance(named.get("schema"), dict), "output-schema", "json_schema.schema: required")
    if named.get("strict"):
        insist(not traits.plain(body["model"]), "strict-unknown", "strict: not permitted")
        _strict(named["schema"])


def _strict(root: dict[str, Any]) -> None:
    insist(root.get("type") == "object", "strict-root-object", "schema must be an object")
    insist("anyOf" not in root, "strict-root-object", "no anyOf at the root")
    for schema in subschemas(root):
        banned = {"oneOf", "allOf", "not", "if", "patternProperties", "default"} & set(schema)
        insist(not banned, "schema-keyword", f"not permitted: {', '.join(sorted(banned))}")
        kind = schema.get("type")
        if kind == "object" or (isinstance(kind, list) and "object" in kind):
            closed = schema.get("additionalProperties") is False
            insist(closed, "strict-open-object", "additionalProperties must be false")
            properties = set(schema.get("properties") or {})
            every = set(schema.get("required") or []) == properties
            insist(every, "strict-required", "required must name every property")
