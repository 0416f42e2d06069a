"""What people should hear of becomes an event, so that a workspace's own skills tell them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from core.errors import Unavailable
from core.tool import Actor

if TYPE_CHECKING:
    from services.events import EventService
    from store.notices import Notices

log = logging.getLogger(__name__)

AT_ONCE = 100
BUDGET = Actor(kind="system", id="budget")


class NoticeService:
    def __init__(self, notices: Notices, events: EventService) -> None:
        self._notices = notices
        self._events = events

    async def tell(self) -> None:
        """Whoever dies before a notice is delivered leaves it to the next one, for whom its key
        gives the same event."""
        for notice in await self._notices.undelivered(AT_ONCE):
            try:
                await self._events.publish(
                    notice.workspace, notice.kind, notice.data, id=notice.key, actor=BUDGET
                )
            except Unavailable:
                raise
            except Exception:
                # Its workspace is gone, or its key taken: the next try would end the same way, and
                # stand before everybody else's.
                log.exception("%s of %s cannot be told", notice.key, notice.workspace)
            await self._notices.delivered(notice)
