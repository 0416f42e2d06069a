"""Serves both wires on this machine alone, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from types import ModuleType
from typing import Any, Literal

from llm.demo import (
    completions_rules,
    completions_wire,
    messages_rules,
    messages_wire,
    traits,
)
from llm.demo.brain import answer, looped
from llm.demo.http import Answer, Request, converse
from llm.demo.refused import Refused
from llm.demo.spoiling import spoil
from llm.demo.trouble import STATUSES, Fault, Plan, Troubles, plan
from llm.demo.view import Handler, Reply, View

HOST = "127.0.0.1"
MODELS = ["demo-model"]
BYTES_PER_TOKEN = 4
REMEMBERED = 5_000
# Hundreds of runs may call in the same moment, each over a connection of its own.
MOST_WAITING = 2_000
WIRES: tuple[tuple[ModuleType, ModuleType], ...] = (
    (messages_wire, messages_rules),
    (completions_wire, completions_rules),
)
Record = Literal["digests", "bodies"]


@dataclass
class Recorded:
    """`key` is a digest: the key itself is kept nowhere."""

    path: str
    model: str
    digest: str
    key: str
    at: float
    status: int | None = None
    fault: str | None = None
    rule: str | None = None
    done: bool = False
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: Any = None


class DemoServer:
    def __init__(self, handlers: tuple[Handler, ...] = (), record: Record = "digests") -> None:
        self.requests: deque[Recorded] = deque(maxlen=REMEMBERED)
        self._handlers = handlers
        self._record = record
        self._troubles = Troubles()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def respond(self, request: Request, answer: Answer) -> None:
        if request.path.startswith("/_"):
            await self._about_itself(request, answer)
        elif request.method == "GET" and request.path.endswith("/models"):
            await _list_models(request, answer)
        else:
            await self._model(request, answer)

    async def _about_itself(self, request: Request, answer: Answer) -> None:
        if request.method == "DELETE":
            self.requests.clear()
        asked = [vars(each) for each in self.requests]
        await answer.json(200, asked if request.path == "/_requests" else {"ready": True})

    async def _model(self, request: Request, answer: Answer) -> None:
        pair = next((pair for pair in WIRES if request.path.endswith(pair[0].PATH)), None)
        if pair is None:
            await answer.whole(404, b"no such path", {"content-type": "text/plain"})
            return
        wire, rules = pair
        try:
            body = json.loads(request.body)
            model = str(body.get("model"))
        except (ValueError, AttributeError):
            failed = wire.failure(400, "invalid_request_error", "[malformed] not a JSON object")
            await answer.json(400, failed)
            return
        recorded = self._recorded(request, body, model)
        try:
            await self._answer(_Case(request, answer, wire, rules, body, recorded))
        finally:
            recorded.status = answer.sent
            recorded.done = True

    def _recorded(self, request: Request, body: Any, model: str) -> Recorded:
        recorded = Recorded(
            path=request.path,
            model=model,
            digest=_digest(request.body),
            key=_digest(request.key.encode()),
            at=time.time(),
        )
        if self._record == "bodies":
            secret = ("authorization", "x-api-key")
            headers = request.headers.items()
            recorded.headers = {
                name: "[key]" if name in secret else value for name, value in headers
            }
            recorded.body = body
        self.requests.append(recorded)
        return recorded

    async def _answer(self, case: _Case) -> None:
        if await _denied(case):
            return
        try:
            case.rules.check(case.body, case.request.headers)
            view: View = case.wire.view(case.body, case.recorded.digest, len(case.request.body))
        except Refused as refused:
            case.recorded.rule = refused.rule
            await case.fail(400, "invalid_request_error", str(refused))
            return
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            await case.fail(400, "invalid_request_error", f"[malformed] {error!r}")
            return
        wanted = plan(view.model)
        if wanted.slow:
            await asyncio.sleep(wanted.slow)
        fault = self._troubles.next(view.model, f"{case.recorded.key}{view.digest}")
        case.recorded.fault = fault.name if fault else None
        if fault and fault.kind == "status":
            await _status(case, fault, wanted)
            return
        reply = _reply(view, wanted, self._handlers)
        if fault and fault.kind == "answer":
            reply = spoil(fault, reply, view)
        await _Telling(case, _with_ids(reply, view), view, fault).tell()


@dataclass
class _Case:
    request: Request
    answer: Answer
    wire: ModuleType
    rules: ModuleType
    body: dict[str, Any]
    recorded: Recorded

    async def fail(
        self,
        status: int,
        kind: str,
        message: str,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        body = self.wire.failure(status, kind, message, code)
        await self.answer.json(status, body, headers)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


def _reply(view: View, wanted: Plan, handlers: tuple[Handler, ...]) -> Reply:
    if wanted.loop:
        return looped(view, *wanted.loop)
    reply = answer(view, handlers)
    limit = view.max_tokens * BYTES_PER_TOKEN
    if len(reply.text) > limit:
        return replace(reply, text=reply.text[:limit], stop="length")
    return reply


def _with_ids(reply: Reply, view: View) -> Reply:
    mark = f"call_{traits.marked(view.model)}_{view.digest[:12]}"
    calls = (
        replace(call, id={"": f"{mark}_{n}", "-": ""}.get(call.id, call.id))
        for n, call in enumerate(reply.calls)
    )
    return replace(reply, calls=tuple(calls))


async def _denied(case: _Case) -> bool:
    """Keys say by their first word what is wrong with them."""
    key = case.request.key
    if not key or key.startswith("bad-"):
        await case.fail(401, "authentication_error", f"invalid key {key}", "invalid_api_key")
    elif key.startswith("poor-"):
        await case.fail(429, "insufficient_quota", f"no credit on {key}", "insufficient_quota")
    elif str(case.body.get("model")).startswith("missing-"):
        await case.fail(404, "not_found_error", "model: not found", "model_not_found")
    else:
        return False
    return True


async def _list_models(request: Request, answer: Answer) -> None:
    wire = messages_wire if "anthropic-version" in request.headers else completions_wire
    if not request.key or request.key.startswith("bad-"):
        failed = wire.failure(401, "authentication_error", f"invalid key {request.key}")
        await answer.json(401, failed)
    elif request.key.startswith("restricted-"):
        await answer.json(403, wire.failure(403, "permission_error", "missing scope models.read"))
    else:
        await answer.json(200, wire.listed(MODELS))


async def _status(case: _Case, fault: Fault, wanted: Plan) -> None:
    status, kind, message, code = STATUSES[fault.name]
    if not kind:
        page = b"<html><h1>502 Bad Gateway</h1></html>"
        await case.answer.whole(status, page, {"content-type": "text/html"})
        return
    message = message.format(key=case.request.key)
    await case.fail(status, kind, message, code, _headers(fault, wanted))


def _headers(fault: Fault, wanted: Plan) -> dict[str, str]:
    if fault.name == "429-ms":
        return {"retry-after-ms": str(round(wanted.after * 1000))}
    if fault.name == "429-date":
        # Dates know only whole seconds.
        return {"retry-after": formatdate(math.ceil(time.time() + wanted.after), usegmt=True)}
    if fault.name == "429":
        return {"retry-after": f"{wanted.after:g}"}
    return {}


@dataclass
class _Telling:
    """An answer on its way over one of the wires, and what may befall it there."""

    case: _Case
    reply: Reply
    view: View
    fault: Fault | None

    async def tell(self) -> None:
        name = self.fault.name if self.fault else ""
        if self.fault and self.fault.kind == "wire":
            await self._break(name)
        elif name == "error-200" or (name == "midstream-error" and not self.view.streamed):
            failed = self.case.wire.failure(200, "overloaded_error", "Overloaded", "529")
            await self.case.answer.json(200, failed)
        elif name == "context" and self.view.wire == "completions":
            says = "This model's maximum context length is 8 tokens"
            await self.case.fail(400, "invalid_request_error", says, "context_length_exceeded")
        elif self.view.streamed:
            await self._stream(name)
        else:
            whole = self._whole()
            if name == "no-usage":
                del whole["usage"]
            await self.case.answer.json(200, whole)

    def _whole(self) -> dict[str, Any]:
        return self.case.wire.whole(self.reply, self.view, self._usage())

    def _usage(self) -> dict[str, Any]:
        size = max(1, self.view.size // BYTES_PER_TOKEN)
        calls = sum(len(json.dumps(call.arguments)) for call in self.reply.calls)
        written = max(1, (len(self.reply.text.encode()) + calls) // BYTES_PER_TOKEN)
        if self.fault and self.fault.name == "cached":
            return self.case.wire.usage(size, written, cached=size // 2, stored=size // 4)
        return self.case.wire.usage(size, written)

    async def _stream(self, name: str) -> None:
        events = list(self.case.wire.events(self.reply, self.view, self._usage()))
        if name == "no-usage":
            events = [(kind, data) for kind, data in map(_without_usage, events) if data]
        half = len(events) // 2
        await self.case.answer.begin_events()
        if name == "midstream-error":
            failed = self.case.wire.failure(200, "overloaded_error", "Overloaded")
            kind = "error" if self.view.wire == "messages" else None
            events = [*events[:half], (kind, json.dumps(failed))]
        elif name == "nodone":
            events = events[:half]
        for kind, data in events:
            await self.case.answer.event(kind, data)
        await self.case.answer.end_events()

    async def _break(self, name: str) -> None:
        answer = self.case.answer
        match name:
            case "reset":
                answer.reset()
            case "hangup":
                answer.broken = "hangup"
            case "midreset" | "stall":
                await self._half()
                if name == "stall":
                    await _until_hung_up(self.case.answer)
                answer.reset()
            case "redirect":
                await answer.whole(307, b"", {"location": "http://127.0.0.1:1/"})
            case _:
                kind = "text/html" if name == "html" else "application/json"
                await answer.whole(200, BODIES[name], {"content-type": kind})

    async def _half(self) -> None:
        if not self.view.streamed:
            await self.case.answer.part_of(json.dumps(self._whole()).encode())
            return
        events = list(self.case.wire.events(self.reply, self.view, self._usage()))
        await self.case.answer.begin_events()
        for kind, data in events[: len(events) // 2]:
            await self.case.answer.event(kind, data)


BODIES = {
    "html": b"<html><body>Please sign in to the network</body></html>",
    "text": b"ok",
    "empty": b"",
    "broken-json": b'{"id": "1", "content": [',
}


def _without_usage(event: tuple[str | None, str]) -> tuple[str | None, str]:
    kind, data = event
    if data == "[DONE]":
        return event
    value = json.loads(data)
    value.pop("usage", None)
    value.get("message", {}).pop("usage", None)
    return (kind, "") if value.get("choices") == [] else (kind, json.dumps(value))


async def _until_hung_up(answer: Answer) -> None:
    """Silence, until the other side has had enough."""
    while not answer.writer.is_closing():
        await asyncio.sleep(0.05)
        try:
            answer.writer.write(b"")
            await answer.writer.drain()
        except ConnectionError:
            return


@asynccontextmanager
async def open_server(
    port: int = 0, handlers: tuple[Handler, ...] = (), record: Record = "digests"
) -> AsyncGenerator[DemoServer]:
    demo = DemoServer(handlers, record)
    going: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(converse(reader, writer, demo.respond))
        going.add(task)
        task.add_done_callback(going.discard)

    server = await asyncio.start_server(accept, HOST, port, backlog=MOST_WAITING)
    demo.port = server.sockets[0].getsockname()[1]
    try:
        yield demo
    finally:
        server.close()
        for task in list(going):
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
