from typing import Protocol

from temporalio import activity

from activities.beginnings import Beginnings
from activities.failures import reports_failures
from core.effects import EVENT, EventReply, EventRequest


class EventSource(Protocol):
    async def look(self, request: EventRequest) -> EventReply:
        """Notes the wait, then looks at what came; the same wait finds the same event again."""
        ...


class EventActivities:
    def __init__(self, source: EventSource, beginnings: Beginnings) -> None:
        self._source = source
        self._beginnings = beginnings

    @activity.defn(name=EVENT)
    @reports_failures
    async def look(self, request: EventRequest) -> EventReply:
        self._beginnings.tell(request.began)
        return await self._source.look(request)
