"""The same loop of a model and its tools, as an engineer would write it."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow

TOOL = {
    "name": "echo",
    "description": "Give back its value.",
    "input_schema": {
        "type": "object",
        "properties": {"value": {"description": "Anything."}},
        "required": ["value"],
        "additionalProperties": False,
    },
}
LONG = timedelta(minutes=5)


class Asking:
    def __init__(self, url: str) -> None:
        # Not at the top: the workflow's sandbox imports this module again.
        import anthropic

        self._client = anthropic.AsyncAnthropic(base_url=url, api_key="demo-key", max_retries=0)

    @activity.defn(name="ask")
    async def ask(self, model: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        answer = await self._client.messages.create(
            model=model, max_tokens=4096, messages=messages, tools=[TOOL], timeout=60
        )
        return answer.model_dump(mode="json", exclude_none=True)


@workflow.defn
class HandLoop:
    @workflow.run
    async def run(self, model: str) -> str:
        messages: list[dict[str, Any]] = [{"role": "user", "content": "Look at everything."}]
        while True:
            answer: dict[str, Any] = await workflow.execute_activity(
                "ask", args=[model, messages], start_to_close_timeout=LONG
            )
            messages.append({"role": "assistant", "content": answer["content"]})
            uses = [block for block in answer["content"] if block["type"] == "tool_use"]
            if not uses:
                return "".join(block.get("text", "") for block in answer["content"])
            outputs = await asyncio.gather(*(self._use(use) for use in uses))
            messages.append({"role": "user", "content": outputs})

    async def _use(self, use: dict[str, Any]) -> dict[str, Any]:
        output = await workflow.execute_activity("echo", use["input"], start_to_close_timeout=LONG)
        return {"type": "tool_result", "tool_use_id": use["id"], "content": str(output)}


def demo_url() -> str:
    return os.environ["BENCH_DEMO_URL"]
