"""The messages wire: what was asked read from it, what is answered written to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from llm.demo import traits
from llm.demo.messages_rules import blocks
from llm.demo.view import Call, Offered, Reply, Said, View

PIECE = 24  # characters in one event of a stream
STOPS = {
    "end": "end_turn",
    "tools": "tool_use",
    "length": "max_tokens",
    "refusal": "refusal",
    "context": "model_context_window_exceeded",
    "pause": "pause_turn",
}
PATH = "/messages"


def view(body: dict[str, Any], digest: str, size: int) -> View:
    system = body.get("system") or ""
    if isinstance(system, list):
        system = "\n".join(block.get("text", "") for block in system)
    form = (body.get("output_config") or {}).get("format") or {}
    choice = body.get("tool_choice") or {}
    offered = [] if choice.get("type") == "none" else body.get("tools") or []
    return View(
        wire="messages",
        model=body["model"],
        system=system,
        said=tuple(said for message in body["messages"] for said in _said(message)),
        tools=tuple(
            Offered(tool["name"], tool.get("description", ""), tool["input_schema"])
            for tool in offered
        ),
        schema=form.get("schema"),
        max_tokens=body["max_tokens"],
        parallel=not choice.get("disable_parallel_tool_use"),
        streamed=bool(body.get("stream")),
        digest=digest,
        size=size,
        body=body,
    )


def _said(message: dict[str, Any]) -> Iterator[Said]:
    content = blocks(message)
    for block in content:
        if block["type"] == "tool_result":
            failed = bool(block.get("is_error"))
            text = _text(block.get("content"))
            yield Said("tool", text, answers=block["tool_use_id"], failed=failed)
    text = "\n".join(block["text"] for block in content if block["type"] == "text")
    calls = tuple(
        Call(block["name"], block["input"], block["id"])
        for block in content
        if block["type"] == "tool_use"
    )
    if text or calls:
        yield Said(message["role"], text, calls)


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(block.get("text", "") for block in content)
    return content or ""


def whole(reply: Reply, view: View, usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"msg_{view.digest[:16]}",
        "type": "message",
        "role": "assistant",
        "model": view.model,
        "content": _content(reply, view),
        "stop_reason": STOPS[_stop(reply)],
        "stop_sequence": None,
        "usage": usage,
    }


def _stop(reply: Reply) -> str:
    if reply.refusal is not None:
        return "refusal"
    return reply.stop or ("tools" if reply.calls else "end")


def _content(reply: Reply, view: View) -> list[dict[str, Any]]:
    if reply.refusal is not None:
        return []
    content: list[dict[str, Any]] = []
    if traits.echo(view.model) == "thinking":
        signed = traits.signature(view.model)
        content.append({"type": "thinking", "thinking": "Let me see.", "signature": signed})
    if reply.text:
        content.append({"type": "text", "text": reply.text})
    for call in reply.calls:
        arguments = {} if call.raw is not None else call.arguments
        content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": arguments})
    return content


def events(reply: Reply, view: View, usage: dict[str, Any]) -> Iterator[tuple[str, str]]:
    message = whole(reply, view, usage)
    content, stop = message["content"], message["stop_reason"]
    # The count of what comes out is not known yet: this is a placeholder.
    begun = {**usage, "output_tokens": 1}
    message |= {"content": [], "stop_reason": None, "usage": begun}
    yield _event("message_start", message=message)
    yield _event("ping")
    raws = {call.id: call.raw for call in reply.calls}
    for index, block in enumerate(content):
        yield _event("content_block_start", index=index, content_block=_emptied(block))
        for delta in _deltas(block, raws):
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    ended = {"output_tokens": usage["output_tokens"]}
    yield _event("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage=ended)
    yield _event("message_stop")


def _event(kind: str, **fields: Any) -> tuple[str, str]:
    return kind, json.dumps({"type": kind, **fields})


def _emptied(block: dict[str, Any]) -> dict[str, Any]:
    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}
    return {**block, **empty.get(block["type"], {"input": {}})}


def _deltas(block: dict[str, Any], raws: dict[str, str | None]) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        for piece in pieces(block["text"]):
            yield {"type": "text_delta", "text": piece}
    elif block["type"] == "thinking":
        yield {"type": "thinking_delta", "thinking": block["thinking"]}
        yield {"type": "signature_delta", "signature": block["signature"]}
    else:
        raw = raws[block["id"]]
        text = json.dumps(block["input"]) if raw is None else raw
        for piece in pieces(text):
            yield {"type": "input_json_delta", "partial_json": piece}


def pieces(text: str) -> list[str]:
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def failure(status: int, kind: str, message: str, code: str | None = None) -> dict[str, Any]:
    del status
    error: dict[str, Any] = {"type": kind, "message": message}
    if code:
        error["details"] = {"error_code": code}
    return {"type": "error", "error": error, "request_id": "req_demo"}


def usage(size: int, written: int, *, cached: int = 0, stored: int = 0) -> dict[str, Any]:
    return {
        "input_tokens": size - cached - stored,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": stored,
        "output_tokens": written,
    }


def listed(models: list[str]) -> dict[str, Any]:
    return {"data": [{"type": "model", "id": name} for name in models], "has_more": False}
