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
        heard = inputs.get("heard", [])
        try:
            came = await steps.event(
                "next",
                "deal_signed",
                when="event.data.amount >= least",
                known={"least": inputs["least"]},
                timeout=timedelta(seconds=inputs["seconds"]),
            )
        except steps.ApplicationError as error:
            return [*heard, error.type]
        workflow.continue_as_new({**inputs, "heard": [*heard, came["data"]["amount"]]})
