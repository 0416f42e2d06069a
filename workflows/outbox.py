import asyncio

from temporalio import workflow

# One task's commands travel in one message of at most 4 MiB. What is asked for between the start of
# the timer and its end may come on top, so it is not quite half of that.
MOST_IN_A_TASK = 1_800_000
OF_A_COMMAND = 1_000


class Outbox:
    """What would make one workflow task too large to be sent waits for the next."""

    def __init__(self) -> None:
        self._sent = 0
        self._next: asyncio.Task[None] | None = None

    async def has_room(self, size: int) -> None:
        while self._sent and self._sent + size > MOST_IN_A_TASK:
            if self._next is None:
                self._next = asyncio.create_task(self._end_task())
            await workflow.wait_condition(self._next.done)

    def put(self, size: int) -> None:
        self._sent += size + OF_A_COMMAND

    async def _end_task(self) -> None:
        await workflow.sleep(0.001)
        self._sent = 0
        self._next = None
