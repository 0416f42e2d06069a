"""The rules of the messages wire: each that is broken answers 400 with its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from llm.demo import traits
from llm.demo.refused import insist, known_only

IDS = re.compile(r"^[a-zA-Z0-9_-]+$")
TOOL_NAMES = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
BLOCKS = ("text", "image", "tool_use", "tool_result", "thinking", "redacted_thinking")
BREAKPOINTS = 4
SCHEMA_WORDS = frozenset(
    (
        *("type", "properties", "required", "additionalProperties", "items", "enum", "const"),
        *("anyOf", "allOf", "$ref", "$defs", "definitions", "description", "title"),
        *("default", "format", "minItems"),
    )
)
KNOWN = frozenset(
    (
        *("model", "max_tokens", "messages", "system", "tools", "tool_choice"),
        *("output_config", "thinking", "cache_control", "metadata", "service_tier"),
        *("stop_sequences", "stream", "temperature", "top_p", "top_k"),
    )
)
Message = dict[str, Any]


def check(body: dict[str, Any], headers: dict[str, str]) -> None:
    insist("anthropic-version" in headers, "version-header", "anthropic-version is required")
    for name in ("temperature", "top_p", "top_k"):
        insist(name not in body, "sampling-removed", f"{name} is not supported")
    known_only(body, KNOWN)
    insist(isinstance(body.get("model"), str), "model-missing", "model: field required")
    limit = body.get("max_tokens")
    insist(isinstance(limit, int) and limit > 0, "max-tokens", "max_tokens: a positive integer")
    _system(body.get("system"))
    _tools(body)
    _thinking(body)
    _output(body.get("output_config"))
    _messages(body)
    insist(_breakpoints(body) <= BREAKPOINTS, "cache-breakpoints", "at most 4 cache breakpoints")


def _system(system: Any) -> None:
    if isinstance(system, list):
        for block in system:
            insist(block.get("text", "").strip(), "system-blank", "system: text must be non-empty")
    elif system is not None:
        insist(isinstance(system, str), "system-type", "system: a text or a list of blocks")
        insist(system.strip(), "system-blank", "system: text must be non-empty")


def _tools(body: dict[str, Any]) -> None:
    tools = body.get("tools") or []
    names = [tool.get("name") for tool in tools]
    for tool in tools:
        insist(TOOL_NAMES.match(str(tool.get("name"))), "tool-name", f"{tool.get('name')}")
        schema = tool.get("input_schema")
        insist(isinstance(schema, dict), "tool-schema-missing", "input_schema: field required")
        union = {"anyOf", "oneOf", "allOf"} & set(schema)
        insist(not union, "tool-schema-toplevel-union", "input_schema: no union at the top level")
        insist(schema.get("type") == "object", "tool-schema-object", "input_schema: type object")
    insist(len(names) == len(set(names)), "tool-name-duplicate", "tools: names must be unique")
    choice = body.get("tool_choice")
    if choice is not None:
        insist(tools, "tool-choice-without-tools", "tool_choice needs tools")
        forced = choice.get("type") in ("any", "tool") and traits.never_forced(body["model"])
        insist(not forced, "forced-tool-choice", f"{body['model']} chooses its tools itself")


def _thinking(body: dict[str, Any]) -> None:
    wanted = body.get("thinking")
    if wanted is not None:
        allowed = traits.thinking_types(body["model"])
        insist(wanted.get("type") in allowed, "thinking-type", f"thinking.type: {allowed}")


def _output(config: Any) -> None:
    form = (config or {}).get("format")
    if form is None:
        return
    insist(form.get("type") == "json_schema", "output-format", "format.type: json_schema")
    insist(isinstance(form.get("schema"), dict), "output-schema", "format.schema: required")
    for schema in subschemas(form["schema"]):
        strangers = set(schema) - SCHEMA_WORDS
        insist(not strangers, "schema-keyword", f"schema: {', '.join(sorted(strangers))}")
        kind = schema.get("type")
        is_object = kind == "object" or (isinstance(kind, list) and "object" in kind)
        if is_object:
            closed = schema.get("additionalProperties") is False
            insist(closed, "schema-open-object", "additionalProperties must be false")


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(schema, dict):
        return
    yield schema
    for key in ("properties", "$defs", "definitions"):
        for below in (schema.get(key) or {}).values():
            yield from subschemas(below)
    for key in ("anyOf", "allOf", "oneOf"):
        for below in schema.get(key) or ():
            yield from subschemas(below)
    yield from subschemas(schema.get("items"))


def _messages(body: dict[str, Any]) -> None:
    messages: list[Message] = body.get("messages") or []
    insist(messages, "messages-empty", "messages: at least one message is required")
    for message in messages:
        insist(message.get("role") in ("user", "assistant"), "role", "role: user or assistant")
        for block in blocks(message):
            _block(block, message["role"])
    merged = _merged(messages)
    insist(merged[0]["role"] == "user", "first-role", "the first message must be the user's")
    insist(merged[-1]["role"] == "user", "prefill", "the conversation must end with the user")
    _pairs(merged)
    _echoes(body["model"], merged)
    used = any(b["type"] in ("tool_use", "tool_result") for m in merged for b in m["content"])
    insist(body.get("tools") or not used, "tools-missing", "tool blocks need tools")


def blocks(message: Message) -> list[dict[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    insist(isinstance(content, list), "content-type", "content: a text or a list of blocks")
    return content or []


def _block(block: dict[str, Any], role: str) -> None:
    kind = block.get("type")
    insist(kind in BLOCKS, "block-type", f"content: unknown block {kind}")
    if kind == "text":
        insist(block.get("text"), "text-empty", "text content blocks must be non-empty")
        insist(block["text"].strip(), "text-blank", "text content blocks must not be blank")
    elif kind == "tool_use":
        insist(role == "assistant", "tool-use-role", "tool_use is the assistant's")
        insist(IDS.match(str(block.get("id"))), "tool-use-id", "tool_use.id: ^[a-zA-Z0-9_-]+$")
        insist(isinstance(block.get("input"), dict), "tool-use-input", "tool_use.input: an object")
    elif kind == "tool_result":
        insist(role == "user", "tool-result-role", "tool_result is the user's")
        empty = not block.get("content")
        insist(
            not (block.get("is_error") and empty), "tool-result-error-empty", "an error says what"
        )


def _merged(messages: list[Message]) -> list[Message]:
    """Messages of the same role in a row are one."""
    merged: list[Message] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1]["content"].extend(blocks(message))
        else:
            merged.append({"role": message["role"], "content": list(blocks(message))})
    return merged


def _pairs(messages: list[Message]) -> None:
    seen: set[str] = set()
    open_ids: list[str] = []
    for message in messages:
        results = [b["tool_use_id"] for b in message["content"] if b["type"] == "tool_result"]
        insist(len(results) == len(set(results)), "tool-result-duplicate", "one result each")
        orphans = set(results) - set(open_ids)
        insist(not orphans, "tool-result-orphan", f"no tool_use before it: {orphans}")
        missing = set(open_ids) - set(results)
        insist(not missing, "tool-result-missing", f"tool_use without tool_result: {missing}")
        _results_first(message["content"])
        open_ids = [b["id"] for b in message["content"] if b["type"] == "tool_use"]
        for each in open_ids:
            insist(each not in seen, "tool-use-duplicate", "tool_use ids must be unique")
            seen.add(each)


def _results_first(content: list[dict[str, Any]]) -> None:
    kinds = [block["type"] for block in content]
    if "tool_result" in kinds:
        last = len(kinds) - 1 - kinds[::-1].index("tool_result")
        insist(set(kinds[: last + 1]) == {"tool_result"}, "tool-result-first", "results go first")


def _echoes(model: str, messages: list[Message]) -> None:
    """Thinking goes back unchanged, to whom it came from, where a tool loop goes on."""
    for message in messages:
        for block in message["content"]:
            if block["type"] == "thinking":
                same = block.get("signature") == traits.signature(model)
                insist(same, "thinking-signature", "invalid signature in thinking block")
    answered = [m for m in messages if m["role"] == "assistant"]
    if not answered or traits.echo(model) != "thinking":
        return
    content = answered[-1]["content"]
    mine = any(b["type"] == "tool_use" and traits.marked(model) in b["id"] for b in content)
    if mine:
        first = content[0]["type"]
        insist(first == "thinking", "thinking-echo", f"expected thinking, found {first}")


def _breakpoints(value: Any) -> int:
    if isinstance(value, dict):
        return ("cache_control" in value) + sum(_breakpoints(each) for each in value.values())
    if isinstance(value, list):
        return sum(_breakpoints(each) for each in value)
    return 0
