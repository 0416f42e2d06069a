from typing import Any

from temporalio import workflow

from workflows.steps import notify


@workflow.defn(name="saying")
class Saying:
    """Tells people what it is given."""

    @workflow.run
    async def run(self, inputs: dict[str, Any]) -> Any:
        return await notify("tell", "slack", inputs["message"])
