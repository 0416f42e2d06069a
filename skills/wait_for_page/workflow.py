from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from temporalio import workflow

from workflows import steps
from workflows.steps import ApplicationError, Retry

LONGEST_PAUSE = timedelta(hours=1)


class Page(BaseModel):
    url: str
    every_seconds: int = 30
    give_up_after: int = 100


@workflow.defn(name="wait-for-page")
class WaitForPage:
    @workflow.run
    async def run(self, page: Page) -> dict[str, Any]:
        began = workflow.now()
        pause = timedelta(seconds=page.every_seconds)
        for attempt in range(1, page.give_up_after + 1):
            if await self._answers(page.url, attempt):
                waited = workflow.now() - began
                return {"url": page.url, "tries": attempt, "waited_s": waited.total_seconds()}
            if attempt < page.give_up_after:
                await steps.wait(f"pause{attempt}", pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        raise ApplicationError(f"{page.url} gave no good answer", type="gave_up")

    async def _answers(self, url: str, attempt: int) -> bool:
        try:
            await steps.tool(
                f"try{attempt}",
                "http_request",
                {"method": "GET", "url": url, "timeout": 10},
                retry=Retry(attempts=1),
            )
        except ApplicationError as error:
            if error.type != "http_failed":
                raise
            return False
        return True
