from temporalio import workflow

from core.effects import GIVEN, Given, GivenRequest, GivenStep
from core.run import RunOrigin
from workflows import policies


class GivenSteps:
    """What the retried run had finished: none where a run retries no other."""

    def __init__(self, origin: RunOrigin) -> None:
        self._origin = origin
        self._steps: dict[str, GivenStep] = {}
        self._children: dict[str, str] = {}

    async def fetch(self, paths: tuple[str, int, int] | None = None) -> None:
        """By reference, so that a large history is not carried in this run's input."""
        if self._origin.given_by is None:
            return
        page, more = 0, True
        while more:
            request = GivenRequest(
                workspace=self._origin.workspace.id,
                run=self._origin.given_by,
                paths=paths,
                page=page,
            )
            given: Given = await workflow.execute_activity(
                GIVEN,
                request,
                result_type=Given,
                activity_id=f"{GIVEN}.{page}",
                summary=f"what run {self._origin.given_by} had finished",
                **policies.LOOK_UP,
            )
            self._steps.update(given.steps)
            self._children.update(given.children)
            page, more = page + 1, given.more

    def step(self, path: str, digest: str) -> GivenStep | None:
        """What an earlier run paid for already; a changed request runs again."""
        known = self._steps.get(path)
        return known if known is not None and known.digest == digest else None

    def child(self, path: str) -> str | None:
        return self._children.get(path)
