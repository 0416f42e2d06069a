"""A gateway's answers on a real socket, for the client and the command that speak to one."""

from __future__ import annotations

import json
import re
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

KEY, ADMIN_KEY, WORKSPACE = "pk_demo_workspace", "pk_demo_admin", "demo"
AT = "2026-11-20T08:00:{:02}Z"
Answer = tuple[int, Any]


class Broken(Exception):
    """Ends a connection in the middle of an answer."""


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw) if self.raw else None


@dataclass
class StandIn:
    """`answers` come before everything else; `breaks` end one stream each after so many events."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list[Asked])
    answers: dict[str, list[Answer]] = field(default_factory=dict[str, list[Answer]])
    runs: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    logs: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    breaks: list[int] = field(default_factory=list[int])
    holds: set[str] = field(default_factory=set[str])

    def run(self, run_id: str, status: str = "succeeded", **more: Any) -> None:
        """A run whose log says how it went."""
        kinds = [("run.started", None), ("step.started", "fetch"), ("step.finished", "fetch")]
        self.logs[run_id] = [
            *(event(number, kind, step) for number, (kind, step) in enumerate(kinds)),
            event(3, f"run.{status}"),
        ]
        self.runs[run_id] = {
            "run_id": run_id,
            "workspace_id": WORKSPACE,
            "skill": "orders",
            "version": "abc123",
            "status": status,
            "trigger": "manual",
            "inputs": {"n": 1, "who": "ann"},
            "output": {"total": 3} if status == "succeeded" else None,
            "created_at": AT.format(0),
            "started_at": AT.format(0),
            "completed_at": AT.format(3),
            "duration_ms": 3000,
            "links": {"temporal_ui": f"http://127.0.0.1:8233/runs/{run_id}"},
        } | more

    def answer(self, place: str, status: int, body: Any) -> None:
        """The next answer at `METHOD /path`."""
        self.answers.setdefault(place, []).append((status, body))

    def asked_for(self, place: str) -> list[Asked]:
        return [each for each in self.asked if f"{each.method} {each.path}" == place]

    async def respond(self, request: Request) -> Response:
        raw = await request.body()
        path = request.scope["raw_path"].decode().partition("?")[0]
        self.asked.append(
            Asked(request.method, path, dict(request.query_params), dict(request.headers), raw)
        )
        if prepared := self.answers.get(f"{request.method} {path}"):
            status, body = prepared.pop(0)
            return self._prepared(status, body)
        if request.method == "GET" and (match := re.fullmatch(r"/api/runs/([^/]+)(/log)?", path)):
            return self._run(request, match[1], match[2])
        return problem(404, "not_found", f"nothing at {path}")

    def _prepared(self, status: int, body: Any) -> Response:
        if isinstance(body, Response):
            return body
        if status == 0:
            return StreamingResponse(_break())
        if status == 204:
            return Response(status_code=204)
        media_type = "application/problem+json" if status >= 400 else "application/json"
        return JSONResponse(body, status, media_type=media_type)

    def _run(self, request: Request, run_id: str, log: str | None) -> Response:
        if run_id not in self.runs:
            return problem(404, "not_found", f"there is no run {run_id!r}")
        if not log:
            return JSONResponse(self.runs[run_id])
        if request.query_params.get("stream") == "true":
            after = int(request.headers.get("last-event-id", "-1"))
            return StreamingResponse(self._stream(run_id, after), media_type="text/event-stream")
        start, limit = int(request.query_params.get("cursor", 0)), 2
        items = self.logs[run_id][start : start + limit]
        more = start + limit < len(self.logs[run_id])
        return JSONResponse({"items": items, "next_cursor": str(start + limit) if more else None})

    async def _stream(self, run_id: str, after: int) -> AsyncGenerator[str]:
        left = self.breaks.pop(0) if self.breaks else None
        yield ": listening\n\n"
        for number, each in enumerate(self.logs[run_id]):
            if number <= after:
                continue
            if left == 0:
                raise Broken
            left = left - 1 if left is not None else None
            yield f"id: {number}\ndata: {json.dumps(each)}\n\n"
        if left is not None:
            raise Broken
        while run_id in self.holds:
            yield ": still here\n\n"
            await _moment()


def event(
    number: int, kind: str, step: str | None = None, attempt: int | None = None, **data: Any
) -> dict[str, Any]:
    return {
        "id": f"1.{number}.0",
        "at": AT.format(number % 60),
        "kind": kind,
        "step": step,
        "attempt": attempt,
        "data": data,
    }


def problem(status: int, code: str, detail: str, **more: Any) -> Response:
    content = {"type": f"urn:perdure:error:{code}", "title": code, "status": status}
    return JSONResponse(
        content | {"detail": detail, "code": code} | more,
        status,
        media_type="application/problem+json",
    )


@contextmanager
def serving() -> Generator[StandIn]:
    stand_in = StandIn()
    app = Starlette(routes=[Route("/{path:path}", stand_in.respond, methods=METHODS)])
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        stand_in.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield stand_in
        finally:
            stand_in.holds.clear()
            server.should_exit = server.force_exit = True
            thread.join(10)


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


async def _moment() -> None:
    import asyncio

    await asyncio.sleep(0.01)


async def _break() -> AsyncGenerator[str]:
    yield "{"
    raise Broken
