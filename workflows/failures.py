import asyncio
from contextlib import suppress
from typing import Any, Protocol

from pydantic import ValidationError
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    TimeoutError,
)

from core.effects import MAX_VALUE_BYTES
from core.errors import StepTimedOut, ValueTooLarge
from core.execution import StepFailed
from core.run import Failure


def failure_of(error: BaseException, step: str | None = None) -> Failure:
    """The innermost cause that has a name."""
    cause: BaseException = error
    while isinstance(cause, ActivityError | ChildWorkflowError) and cause.cause is not None:
        cause = cause.cause
    match cause:
        case ApplicationError():
            return from_application_error(cause, step)
        case TimeoutError():
            return Failure(code=StepTimedOut.code, message=timeout_message(cause), step=step)
        case CancelledError():
            return Failure(code="cancelled", message="the step was cancelled", step=step)
        case FailureError():
            return Failure(code="failed", message=cause.message, step=step)
        case _:
            return Failure(code="failed", message=str(cause), step=step)


def from_application_error(error: ApplicationError, step: str | None) -> Failure:
    """Ours carry the failure as their one detail; another's keeps its type as the code."""
    detail: Any = error.details[0] if error.details else None
    if isinstance(detail, dict) and "code" in detail and "message" in detail:
        known = {key: detail[key] for key in Failure.model_fields if key in detail}
        with suppress(ValidationError):
            return Failure.model_validate({**known, "step": known.get("step") or step})
    return Failure(code=error.type or "failed", message=error.message, step=step)


def timeout_message(error: TimeoutError) -> str:
    kind = error.type.name.lower().replace("_", " ") if error.type else "its"
    if kind == "heartbeat":
        return "the worker that ran this step was lost"
    return f"the step ran into {kind} timeout"


class Ending(Protocol):
    @property
    def is_over(self) -> bool: ...


def step_failure(
    error: ActivityError | ChildWorkflowError, path: str, run: Ending
) -> BaseException:
    """A cancellation from above passes through; anything else is the step's failure."""
    failure = failure_of(error, path)
    task = asyncio.current_task()
    if failure.code == "cancelled" and (run.is_over or (task is not None and task.cancelling())):
        return asyncio.CancelledError()
    return StepFailed(failure, told=True)


def as_application_error(failed: StepFailed) -> ApplicationError:
    """How a run ends that failed: the failure is its detail."""
    failure = failed.failure
    return ApplicationError(
        failure.message, failure.model_dump(mode="json"), type=failure.code, non_retryable=True
    )


def refuse_if_large(path: str, what: str, size: int, most: int = MAX_VALUE_BYTES) -> None:
    if size > most:
        message = f"{what}: {size:,} bytes; a step may take {max(0, most):,}"
        raise StepFailed(Failure(code=ValueTooLarge.code, message=message, step=path))
