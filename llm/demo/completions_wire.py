"""The chat completions wire: what was asked read from it, what is answered written to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from llm.demo import traits
from llm.demo.messages_wire import pieces
from llm.demo.view import Call, Offered, Reply, Said, View

PATH = "/chat/completions"
STOPS = {
    "end": "stop",
    "tools": "tool_calls",
    "length": "length",
    "refusal": "stop",
    "context": "length",
    "pause": "stop",
}


def view(body: dict[str, Any], digest: str, size: int) -> View:
    messages = body["messages"]
    form = body.get("response_format") or {}
    system = [_text(m) for m in messages if m["role"] in ("system", "developer")]
    return View(
        wire="completions",
        model=body["model"],
        system="\n".join(system),
        said=tuple(_said(m) for m in messages if m["role"] in ("user", "assistant", "tool")),
        tools=tuple(
            Offered(each["name"], each.get("description", ""), each.get("parameters", {}))
            for each in (tool["function"] for tool in body.get("tools") or ())
        ),
        schema=_schema(form, messages),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens") or 4096,
        parallel=body.get("parallel_tool_calls", True),
        streamed=bool(body.get("stream")),
        digest=digest,
        size=size,
        body=body,
    )


def _schema(form: dict[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any] | None:
    if form.get("type") == "json_schema":
        return form["json_schema"]["schema"]
    if form.get("type") != "json_object":
        return None
    # In this mode the schema stands in the prompt, as the last JSON of it.
    for message in messages:
        text = _text(message)
        at = text.find('{"')
        while at >= 0:
            try:
                found, _ = json.JSONDecoder().raw_decode(text, at)
            except ValueError:
                at = text.find('{"', at + 1)
                continue
            return found
    return {"type": "object"}


def _said(message: dict[str, Any]) -> Said:
    calls = tuple(
        Call(call["function"]["name"], _arguments(call["function"]["arguments"]), call["id"])
        for call in message.get("tool_calls") or ()
    )
    text = _text(message)
    failed = message["role"] == "tool" and text.startswith("ERROR: ")
    return Said(message["role"], text, calls, message.get("tool_call_id"), failed)


def _arguments(text: str) -> dict[str, Any]:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return {}


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content)
    return content


def whole(reply: Reply, view: View, usage: dict[str, Any]) -> dict[str, Any]:
    message = _message(reply, view)
    stop = _finish(reply)
    choice = {"index": 0, "message": message, "finish_reason": stop, "logprobs": None}
    return {**_head(view, "chat.completion"), "choices": [choice], "usage": usage}


def _head(view: View, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{view.digest[:16]}",
        "object": kind,
        "created": 1_790_000_000,
        "model": view.model,
    }


def _finish(reply: Reply) -> str:
    return STOPS[reply.stop or ("tools" if reply.calls else "end")]


def _message(reply: Reply, view: View) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": reply.text or None,
        "refusal": reply.refusal,
    }
    if reply.calls:
        message["tool_calls"] = [_call(call, view) for call in reply.calls]
    if traits.echo(view.model) == "reasoning_content":
        message["reasoning_content"] = "Let me see."
    return message


def _call(call: Call, view: View) -> dict[str, Any]:
    arguments = json.dumps(call.arguments) if call.raw is None else call.raw
    shown: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }
    if traits.echo(view.model) == "thought_signature":
        signed = {"thought_signature": traits.signature(view.model)}
        shown["extra_content"] = {"google": signed}
    return shown


def events(reply: Reply, view: View, usage: dict[str, Any]) -> Iterator[tuple[None, str]]:
    message = _message(reply, view)
    yield _chunk(view, {"role": "assistant", "content": ""})
    if "reasoning_content" in message:
        yield _chunk(view, {"reasoning_content": message["reasoning_content"]})
    for piece in pieces(reply.text):
        yield _chunk(view, {"content": piece})
    for piece in pieces(reply.refusal or ""):
        yield _chunk(view, {"refusal": piece})
    for index, call in enumerate(message.get("tool_calls", ())):
        arguments = call["function"]["arguments"]
        begun = {**call, "function": {**call["function"], "arguments": ""}}
        yield _chunk(view, {"tool_calls": [{"index": index, **begun}]})
        for piece in pieces(arguments):
            yield _chunk(view, {"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield _chunk(view, {}, _finish(reply))
    if (view.body.get("stream_options") or {}).get("include_usage"):
        yield (
            None,
            json.dumps({**_head(view, "chat.completion.chunk"), "choices": [], "usage": usage}),
        )
    yield None, "[DONE]"


def _chunk(view: View, delta: dict[str, Any], finish: str | None = None) -> tuple[None, str]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return None, json.dumps({**_head(view, "chat.completion.chunk"), "choices": [choice]})


def failure(status: int, kind: str, message: str, code: str | None = None) -> dict[str, Any]:
    del status
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def usage(size: int, written: int, *, cached: int = 0, stored: int = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": size,
        "completion_tokens": written,
        "total_tokens": size + written,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": stored},
    }


def listed(models: list[str]) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in models]}
