from __future__ import annotations

from typing import TYPE_CHECKING

from core.cursor import Cursor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from core.event import LogEvent
    from core.run import Run
    from services.history import Histories


class LogService:
    def __init__(self, histories: Histories) -> None:
        self._histories = histories

    async def page(
        self, run: Run, after: str | None, limit: int, step: str | None
    ) -> tuple[list[LogEvent], str | None]:
        return await self._histories.page(run, after, limit, step)

    def follow(
        self, run: Run, after: str | None, step: str | None
    ) -> AsyncGenerator[tuple[LogEvent, str]]:
        """Until the end; raises Invalid for a bad cursor before anything is read."""
        if after is not None:
            Cursor.parse(after)
        return self._histories.stream(run, after, step)
