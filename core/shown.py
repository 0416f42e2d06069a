"""How values look in a log: whole where they are small, never a secret, never a stack trace."""

import copy
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import to_json

from core.budget import NANO
from core.history import Json
from core.run import Failure

WHOLE_BYTES = 16 * 1024
PREVIEW_CHARACTERS = 400
SUMMARY_BYTES = 200  # Temporal documents 400, encrypted
HIDDEN = "***"
TOKENS = ("input", "cache_read", "cache_write", "output")
TOOL_CALLS = 20


def shown(value: Json, name: str = "output") -> dict[str, Any]:
    if len(value.raw) <= WHOLE_BYTES:
        return {name: value.load()}
    # Four bytes are the longest character.
    start = value.raw[: 4 * PREVIEW_CHARACTERS].decode(errors="ignore")
    return {"bytes": len(value.raw), "preview": start[:PREVIEW_CHARACTERS]}


def in_brief(path: str, arguments: Mapping[str, Any]) -> str:
    """What a step does, on one line: its path and its plain arguments."""
    words = [
        value[:SUMMARY_BYTES] if isinstance(value, str) else f"{name}={value}"
        for name, value in arguments.items()
        if isinstance(value, str | int | float)
    ]
    line = " ".join(" ".join(words).split())
    whole = f"{path}: {line}" if line else path
    return whole.encode(errors="replace")[:SUMMARY_BYTES].decode(errors="ignore")


def shown_arguments(request: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a tool request; where a secret goes, there is only its place."""
    if "arguments" not in request:
        return {}
    arguments, uses = request["arguments"], request.get("secrets", ())
    if uses:
        arguments = copy.deepcopy(arguments)
        for use in uses:
            parts = (part if isinstance(part, str) else HIDDEN for part in use["parts"])
            put(arguments, use["pointer"], "".join(parts))
    return shown(Json(to_json(arguments)), "arguments")


def shown_reply(reply: Mapping[str, Any]) -> dict[str, Any]:
    """What a model was paid and said; a cost of None is unknown, never free."""
    answer, nano = reply["answer"], reply.get("cost_nano")
    turn, usage = answer["turn"], answer["usage"]
    told: dict[str, Any] = {
        "model": answer["model"],
        "tokens": {name: usage.get(name, 0) for name in TOKENS},
        "estimated": bool(usage.get("estimated")),
        "cost": None if nano is None else nano / NANO,
        "latency_ms": reply.get("latency_ms"),
        "key_source": reply.get("key_source"),
        "stored": bool(reply.get("stored")),
        "stop": answer["stop"],
    }
    if turn.get("text"):
        told |= shown(Json(to_json(turn["text"])), "text")
    if turn.get("tool_uses"):
        uses = turn["tool_uses"][:TOOL_CALLS]
        told["tool_calls"] = [in_brief(use["name"], use.get("arguments") or {}) for use in uses]
    return told


def shown_failure(failure: Failure) -> dict[str, Any]:
    told: dict[str, Any] = {"code": failure.code, "message": failure.message}
    if failure.attempts is not None:
        told["attempts"] = failure.attempts
    if failure.data:
        told["data"] = failure.data
    return told


def milliseconds(begin: datetime, end: datetime) -> int:
    return max(0, (end - begin) // timedelta(milliseconds=1))


def put(value: Any, pointer: str, text: str) -> None:
    """Replaces what a JSON pointer (RFC 6901) names."""
    *way, last = [
        part.replace("~1", "/").replace("~0", "~") for part in pointer.removeprefix("/").split("/")
    ]
    for part in way:
        value = value[int(part)] if isinstance(value, list) else value[part]
    if isinstance(value, list):
        value[int(last)] = text
    else:
        value[last] = text
