"""Activities heartbeat by themselves, so that a lost worker and a cancellation are seen soon."""

import asyncio
import contextlib
from typing import Any

from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

INTERVAL_SECONDS = 0.5


class Beating(Interceptor):
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return BeatingInbound(next)


class BeatingInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if activity.info().is_local:
            return await self.next.execute_activity(input)
        beating = asyncio.create_task(beat())
        try:
            return await self.next.execute_activity(input)
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating


async def beat() -> None:
    """The first after a while: most activities are done before."""
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        activity.heartbeat()
