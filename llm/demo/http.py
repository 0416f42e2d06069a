"""As much of HTTP/1.1 as a model provider needs, down to breaking it on purpose."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

LARGEST_BODY = 64 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        return self.headers.get("x-api-key", bearer)


@dataclass
class Answer:
    """One answer on its way out; `sent` remembers the status for the record."""

    writer: asyncio.StreamWriter
    sent: int | None = None
    broken: str | None = None
    chunked: bool = field(default=False)

    async def whole(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "content-length": str(len(body))})
        self.writer.write(body)
        await self.writer.drain()

    async def json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        named = {"content-type": "application/json", **(headers or {})}
        await self.whole(status, json.dumps(body).encode(), named)

    async def part_of(self, body: bytes) -> None:
        """Promises all of the body and sends half."""
        self._head(200, {"content-type": "application/json", "content-length": str(len(body))})
        self.writer.write(body[: len(body) // 2])
        await self.writer.drain()

    async def begin_events(self) -> None:
        self.chunked = True
        kind = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
        self._head(200, kind)
        await self.writer.drain()

    async def event(self, name: str | None, data: str) -> None:
        text = (f"event: {name}\n" if name else "") + f"data: {data}\n\n"
        encoded = text.encode()
        self.writer.write(b"%x\r\n%s\r\n" % (len(encoded), encoded))
        await self.writer.drain()

    async def end_events(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    def reset(self) -> None:
        """The connection dies as it does when a machine in between forgets it."""
        self.broken = "reset"
        lingering = self.writer.get_extra_info("socket")
        lingering.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.sent = status
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Overloaded"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.writer.write(f"HTTP/1.1 {status} {phrase}\r\n{lines}\r\n".encode())


Respond = Callable[[Request, Answer], Awaitable[None]]


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, respond: Respond
) -> None:
    """Answers one connection's requests, one after the other."""
    try:
        while (request := await _read(reader)) is not None:
            answer = Answer(writer)
            await respond(request, answer)
            if answer.broken:
                return
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        return
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    named = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in named}
    length = int(headers.get("content-length", "0"))
    if length > LARGEST_BODY:
        return None
    return Request(method, target.partition("?")[0], headers, await reader.readexactly(length))
