"""A skill that goes on in fresh histories."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow

from core.flow import Retry
from workflows import steps


@workflow.defn(name="continuing")
class Continuing:
    @workflow.run
    async def run(self, inputs: dict[str, Any]) -> int:
        left = inputs["parts"]
        arguments = {"value": left, "fail": "now", "times": inputs["fails"]}
        retry = Retry(attempts=5, backoff=timedelta(milliseconds=10))
        await steps.tool(f"work{left}", "watched", arguments, retry=retry)
        if left > 1:
            workflow.continue_as_new({**inputs, "parts": left - 1})
        return left
