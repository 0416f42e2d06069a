"""Answers from what was sent: no knowledge, but true to the data."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from llm.demo import facts as reading
from llm.demo.facts import Facts
from llm.demo.filling import fill, short
from llm.demo.view import Call, Handler, Offered, Reply, Said, View

LABEL = "[demo model]"
WRITES = ("create", "delete", "update", "remove", "send", "post", "write", "set", "notify")
SHOWN = 5


def answer(view: View, handlers: tuple[Handler, ...] = ()) -> Reply:
    """The first handler that knows the case, or else what can be said of anything."""
    for handler in handlers:
        reply = handler(view)
        if reply is not None:
            return reply
    tool = useful(view)
    if tool is not None and not any(said.calls for said in view.since_asked):
        arguments = fill(tool.schema, heard(view))
        return Reply(calls=(Call(tool.name, arguments),))
    return concluded(view)


def concluded(view: View) -> Reply:
    if view.schema is not None:
        return Reply(json.dumps(fill(view.schema, heard(view)), ensure_ascii=False))
    return Reply(f"{LABEL} {told(view)}")


def heard(view: View) -> Facts:
    """What tools answered counts before what was asked."""
    results = [said.text for _, said in reversed(view.results) if not said.failed]
    return reading.read("\n".join([*results, view.asked]))


def told(view: View) -> str:
    if view.results:
        return "\n".join(_told(name, said) for name, said in view.results)
    asked = reading.read(view.asked)
    words = len(view.asked.split())
    return f"Asked in {words} words: {asked.sentence}"


def _told(name: str, said: Said) -> str:
    if said.failed:
        return f"{name} failed: {said.text[:200]}"
    try:
        value = json.loads(said.text)
    except ValueError:
        return f"{name}: {said.text[:200]}"
    return f"{name}: {_counted(value)}"


def _counted(value: Any) -> str:
    if isinstance(value, list):
        names = ", ".join(short(each) for each in value[:SHOWN])
        more = ", …" if len(value) > SHOWN else ""
        return f"{len(value)} ({names}{more})" if value else "none"
    if isinstance(value, dict):
        shown = list(value.items())[:SHOWN]
        return "; ".join(f"{key} {_counted(each)}" for key, each in shown) or "nothing"
    return str(value)[:200]


def useful(view: View) -> Offered | None:
    """Of the tools that only look, the one whose words the question shares."""
    asked = set(re.findall(r"[a-z]{3,}", f"{view.system} {view.asked}".lower()))

    def shared(tool: Offered) -> int:
        own = re.findall(r"[a-z]{3,}", f"{tool.name} {tool.description}".lower())
        return len(asked & set(own))

    looking = [tool for tool in view.tools if not _writes(tool)]
    return max(looking, key=shared, default=None)


def _writes(tool: Offered) -> bool:
    return any(word in WRITES for word in re.split(r"[^a-z]+", tool.name.lower()))


def looped(view: View, turns: int, width: int) -> Reply:
    """So many turns with so many calls each, then an answer made of all their results."""
    turn = sum(1 for said in view.since_asked if said.calls)
    if turn < turns and view.tools:
        width = width if view.parallel else 1
        return Reply(calls=tuple(_call(view, turn * width + each) for each in range(width)))
    texts = [said.text for _, said in view.results]
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
    if view.schema is not None:
        return concluded(view)
    return Reply(f"{LABEL} {len(texts)} results, {digest}")


def _call(view: View, number: int) -> Call:
    tool = sorted(view.tools, key=lambda each: each.name)[number % len(view.tools)]
    arguments = fill(tool.schema, heard(view))
    for name, schema in (tool.schema.get("properties") or {}).items():
        if schema.get("type") == "integer" and "maximum" not in schema:
            arguments[name] = number
            break
        if schema.get("type") == "string" and not {"enum", "format", "pattern"} & set(schema):
            arguments[name] = f"{number}"
            break
    return Call(tool.name, arguments)
