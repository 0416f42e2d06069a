"""A failed attempt leaves a note for the log: history keeps only the last."""

import logging
from datetime import UTC, datetime
from typing import NoReturn, Protocol

from temporalio import activity

from activities.failures import as_application_error
from core.errors import PerdureError
from core.run import Failure
from core.tool import RunContext

log = logging.getLogger("perdure.steps")


class AttemptNotes(Protocol):
    async def note(
        self,
        run_id: str,
        workspace: str,
        path: str,
        attempt: int,
        failure: Failure,
        will_retry: bool,  # noqa: FBT001
        at: datetime,
    ) -> None: ...


async def fail(
    notes: AttemptNotes, context: RunContext, error: PerdureError, failure: Failure, *, final: bool
) -> NoReturn:
    attempt = activity.info().attempt
    outcome = "failed" if final else "will be tried again"
    log.info("%s %s: %s, attempt %s %s", context.run, context.path, error.code, attempt, outcome)
    try:
        await notes.note(
            context.run,
            context.workspace,
            # Not the path: after a wait for budget, another activity counts from 1 again.
            activity.info().activity_id,
            attempt,
            failure,
            not final,
            datetime.now(UTC),
        )
    except PerdureError as away:
        # The note is for the log alone; the step's own failure matters more.
        log.warning("attempt %s of %s was not noted: %s", attempt, context.path, away)
    raise as_application_error(error, failure, final=final) from None
