"""Turns a good answer into what models and servers sometimes give instead."""

from __future__ import annotations

import json
from dataclasses import replace

from llm.demo.trouble import Fault
from llm.demo.view import Call, Reply, View


def spoil(fault: Fault, reply: Reply, view: View) -> Reply:
    match fault.name:
        case "refusal":
            return Reply(refusal="I cannot help with that.")
        case "length":
            return replace(reply, text=reply.text[: len(reply.text) // 2], calls=(), stop="length")
        case "context":
            return replace(reply, stop="context")
        case "pause":
            return replace(reply, stop="pause")
        case "fenced-json":
            return replace(reply, text=f"Here it is:\n```json\n{reply.text}\n```\n")
        case "bad-json":
            return replace(reply, text=reply.text[: len(reply.text) // 2] or "{")
        case "nulls":
            return replace(reply, text=_nulled(reply.text))
        case "cached" | "nodone" | "no-usage" | "error-200" | "midstream-error":
            return reply
        case _:
            return replace(reply, calls=_calls(fault, reply, view), stop=_stop(fault))


def _stop(fault: Fault) -> str | None:
    return {"cut-args": "length", "stop-with-tools": "end"}.get(fault.name)


def _calls(fault: Fault, reply: Reply, view: View) -> tuple[Call, ...]:
    calls = reply.calls
    turn = sum(1 for said in view.said if said.calls)
    match fault.name:
        case "cut-args":
            whole = [json.dumps(call.arguments) for call in calls]
            raws = [text[: max(1, len(text) // 2)] for text in whole]
            return tuple(replace(call, raw=raw) for call, raw in zip(calls, raws, strict=True))
        case "bad-args":
            return tuple(replace(call, raw='{"unquoted: ') for call in calls)
        case "empty-args":
            return tuple(replace(call, raw="") for call in calls)
        case "unknown-tool" if calls:
            return (*calls, Call("no_such_tool", {}))
        case "odd-ids":
            each = f"functions.{'very_' * 20}lookup:"
            return tuple(replace(call, id=f"{each}{turn}{n}") for n, call in enumerate(calls))
        case "same-ids":
            return tuple(replace(call, id=f"call_{n}") for n, call in enumerate(calls))
        case "no-ids":
            return tuple(replace(call, id="-") for call in calls)
        case _:
            return calls


def _nulled(text: str) -> str:
    """Every value that is empty becomes null, as strict mode makes models say it."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps({key: each or None for key, each in value.items()})
