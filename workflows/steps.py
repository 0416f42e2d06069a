"""Step helpers for skills written as plain workflows: the same effects that flows have.

Each call names its step; names must differ within a run (`poll#2` for the second time).
"""

from collections.abc import Awaitable, Mapping
from datetime import timedelta
from typing import Any

from temporalio.exceptions import ApplicationError

from core.duration import format_duration
from core.execution import Approval, Await, Compute, Notify, Pause, StepFailed
from core.flow import Channel, Retry
from workflows.effects import TemporalEffects
from workflows.failures import as_application_error
from workflows.state import CURRENT


async def tool(
    step: str,
    name: str,
    arguments: Mapping[str, Any],
    *,
    timeout: timedelta | None = None,
    retry: Retry | None = None,
) -> Any:
    call = Compute(step, name, dict(arguments), (), timeout, retry)
    return await _named(_effects().compute(call))


async def wait(step: str, length: timedelta) -> None:
    await _named(_effects().wait(Pause(step, format_duration(length), None), never))


async def event(
    step: str,
    name: str,
    *,
    when: str | None = None,
    known: Mapping[str, Any] | None = None,
    timeout: timedelta | None = None,
) -> Any:
    """`when` is an expression that the event has to meet; it reads `event`, and what is `known`."""
    length = format_duration(timeout) if timeout is not None else None
    call = Await(step, name, when, dict(known or {}), length)
    return await _named(_effects().event(call, never))


async def approve(step: str, message: str, *, timeout: timedelta | None = None) -> Any:
    return await _named(_effects().approve(Approval(step, message, timeout), never))


async def notify(
    step: str,
    channel: Channel,
    message: Any,
    *,
    timeout: timedelta | None = None,
    retry: Retry | None = None,
) -> Any:
    """`message` is text, a report, or any other value; it is told once, also in a retried run."""
    return await _named(_effects().notify(Notify(step, channel, message, timeout, retry)))


def never() -> bool:
    return False


def _effects() -> TemporalEffects:
    return TemporalEffects(CURRENT.get())


async def _named(work: Awaitable[Any]) -> Any:
    """A failed step ends the run, unless the skill catches it by its `type`."""
    try:
        return await work
    except StepFailed as failed:
        raise as_application_error(failed) from None


__all__ = ["ApplicationError", "Retry", "approve", "event", "notify", "tool", "wait"]
