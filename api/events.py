"""Server-sent events: one log event each, and a word every quarter of a minute."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi.responses import StreamingResponse

from core.errors import PerdureError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from core.event import LogEvent

SILENCE = timedelta(seconds=15)
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def stream(events: AsyncIterator[tuple[LogEvent, str]]) -> StreamingResponse:
    return StreamingResponse(_lines(events), media_type="text/event-stream", headers=HEADERS)


async def _lines(events: AsyncIterator[tuple[LogEvent, str]]) -> AsyncGenerator[str]:
    """A reader that fails ends the stream: the caller comes back with the last id it saw."""
    coming: asyncio.Task[tuple[LogEvent, str]] | None = None
    try:
        yield ": listening\n\n"
        while True:
            coming = coming or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait({coming}, timeout=SILENCE.total_seconds())
            if not done:
                yield ": still here\n\n"
                continue
            event, cursor = coming.result()
            coming = None
            yield f"id: {cursor}\ndata: {event.model_dump_json()}\n\n"
    except (StopAsyncIteration, PerdureError):
        return
    finally:
        if coming is not None:
            coming.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await coming
        if (close := getattr(events, "aclose", None)) is not None:
            await close()
