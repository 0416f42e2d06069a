import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from core.errors import PerdureError
from core.run import Failure

P = ParamSpec("P")
R = TypeVar("R")
LONGEST_MESSAGE = 4_000  # a failure of megabytes would never be accepted by the server


def failure_of(error: PerdureError, step: str | None, attempt: int) -> Failure:
    # Half a surrogate pair cannot be sent, and with it the failure would be lost.
    message = error.message[:LONGEST_MESSAGE].encode(errors="replace").decode()
    data = {key: value for key, value in error.data.items() if value is not None}
    return Failure(code=error.code, message=message, step=step, attempts=attempt, data=data)


def as_application_error(error: PerdureError, failure: Failure, *, final: bool) -> ApplicationError:
    """The one place where our errors become Temporal's; the failure travels as the detail."""
    return ApplicationError(
        failure.message,
        failure.model_dump(mode="json", exclude_none=True),
        type=failure.code,
        non_retryable=final,
        next_retry_delay=error.retry_after,
    )


def reports_failures(
    work: Callable[P, Awaitable[R]],
) -> Callable[P, Awaitable[R]]:
    """For activities whose errors need no more than the translation."""

    @functools.wraps(work)
    async def reporting(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return await work(*args, **kwargs)
        except PerdureError as error:
            failure = failure_of(error, None, activity.info().attempt)
            raise as_application_error(error, failure, final=not error.retryable) from None

    return reporting
