"""Activities heartbeat by themselves, so that a lost worker and a cancellation are seen soon."""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

# The first comes late: each costs Temporal two writes, and most calls of a model are done by then.
FIRST_SECONDS = 1.5
INTERVAL_SECONDS = 1.0


class Beating(Interceptor):
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return BeatingInbound(next)


class BeatingInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if activity.info().is_local:
            return await self.next.execute_activity(input)
        beat = Beat()
        try:
            return await self.next.execute_activity(input)
        finally:
            beat.stop()


class Beat:
    """A timer instead of a task: most activities are done before the first beat."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(FIRST_SECONDS, self._beat)

    def _beat(self) -> None:
        activity.heartbeat()
        self._timer = self._loop.call_later(INTERVAL_SECONDS, self._beat)

    def stop(self) -> None:
        self._timer.cancel()
