"""A model that says what a test wrote down, on the queue where models are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from temporalio import activity
from temporalio.worker import Worker

from activities.attempts import fail
from activities.failures import failure_of
from core.effects import MODEL, MODEL_QUEUE, ModelReply, ModelRequest
from core.errors import PerdureError
from core.llm import ModelAnswer, ModelTurn, ToolUse, Usage
from tests.kernel import Kernel

Said = ModelReply | PerdureError


def says(text: str = "", *uses: tuple[str, dict[str, Any]]) -> ModelReply:
    """Costs a tenth of a cent; `uses` are calls of tools, with their arguments."""
    asked = tuple(
        ToolUse(id=f"call-{number}", name=name, arguments=arguments)
        for number, (name, arguments) in enumerate(uses)
    )
    answer = ModelAnswer(
        turn=ModelTurn(text=text, tool_uses=asked),
        stop="tools" if uses else "end",
        usage=Usage(input=100, output=10),
        model="demo/small",
    )
    return ModelReply(answer=answer, cost_nano=1_000_000, latency_ms=1, key_source="platform")


class Talk:
    """`say` answers the request, or gives the error that becomes of it."""

    def __init__(self, kernel: Kernel, say: Callable[[ModelRequest], Said]) -> None:
        self.calls: Counter[str] = Counter()
        self.say = say
        self._kernel = kernel

    @activity.defn(name=MODEL)
    async def call(self, request: ModelRequest) -> ModelReply:
        path = request.context.path
        self.calls[path] += 1
        said = self.say(request)
        if isinstance(said, PerdureError):
            failure = failure_of(said, path, activity.info().attempt)
            notes, final = self._kernel.parts.attempts, not said.retryable
            await fail(notes, request.context, said, failure, final=final)
        return said

    def worker(self) -> Worker:
        queue = self._kernel.task_queue + MODEL_QUEUE
        return Worker(self._kernel.client, task_queue=queue, activities=[self.call])
