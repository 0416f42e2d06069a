from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """HEAD is answered wherever GET is: its headers, and nothing after them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        ended = False

        async def send_head(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.start":
                await send(message)
            elif not ended:
                ended = True
                await send({"type": "http.response.body", "body": b""})
            elif message.get("body"):
                # A stream of events would go on until its run ends, for nobody.
                raise OSError("only the head was asked for")

        try:
            # The server itself looks at the method again, so its own scope stays as it is.
            await self._app({**scope, "method": "GET"}, receive, send_head)
        except ClientDisconnect:
            return
