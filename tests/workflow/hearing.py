"""A skill in Python that hears one event in each of its histories."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow

from workflows import steps


@workflow.defn(name="hearing")
class Hearing:
    @workflow.run
    async def run(self, inputs: dict[str, Any]) -> list[Any]:
        heard, late = inputs.get("heard", []), ""
        timeout = timedelta(seconds=inputs["seconds"])
        known = {"least": inputs["least"]}
        condition = "event.data.amount >= least"
        try:
            came = await steps.event(
                "next", "deal_signed", when=condition, known=known, timeout=timeout
            )
            workflow.continue_as_new({**inputs, "heard": [*heard, came["data"]["amount"]]})
        except steps.ApplicationError as error:
            late = error.type or ""
        return [*heard, late]
