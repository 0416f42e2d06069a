"""Which failure of a model is the last one: nobody settles later what it may have cost."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.common import RetryPolicy
from temporalio.testing import ActivityEnvironment

from activities.models import is_last, nobody_follows
from core.effects import ModelRequest
from core.errors import BadResponse, InvalidKey, Overloaded, PerdureError
from core.tool import Actor, RunContext

CONTEXT = RunContext(
    workspace="w", run="r1", lineage="r1", path="say", actor=Actor(kind="user", id="ada")
)
REQUEST = ModelRequest(
    capability="generate", turns=(), digest="d", context=CONTEXT, skill="s", version="v"
)


def at_attempt(attempt: int) -> ActivityEnvironment:
    environment = ActivityEnvironment()
    policy = RetryPolicy(maximum_attempts=5)
    environment.info = replace(environment.info, attempt=attempt, retry_policy=policy)
    return environment


@pytest.mark.parametrize(
    ("error", "attempt", "asked", "before", "last"),
    [
        (Overloaded("m"), 4, None, (), False),
        (Overloaded("m"), 5, None, (), True),
        (Overloaded("m"), 2, 2, (), True),
        (Overloaded("m"), 5, 6, (), False),
        (InvalidKey("m"), 1, None, (), True),
        (BadResponse("m"), 2, None, ("overloaded",), False),
        (BadResponse("m"), 2, None, ("bad_response",), True),
    ],
)
async def test_the_last_attempt_is_known_by_the_steps_word_or_the_policys(
    error: PerdureError, attempt: int, asked: int | None, before: tuple[str, ...], last: bool
) -> None:
    environment = at_attempt(attempt)
    request = REQUEST.model_copy(update={"attempts": asked})
    assert environment.run(is_last, request, before, error) is last


@pytest.mark.parametrize(
    ("why", "attempt", "last"),
    [
        ("cancel_requested", 1, True),
        ("not_found", 1, True),  # the run has ended
        ("worker_shutdown", 1, False),
        ("worker_shutdown", 5, True),
        ("timed_out", 1, False),
        ("paused", 1, False),
        ("reset", 1, False),
    ],
)
async def test_a_cancelled_attempt_is_the_last_unless_another_goes_on_with_it(
    why: str, attempt: int, *, last: bool
) -> None:
    environment = at_attempt(attempt)
    environment.cancel(ActivityCancellationDetails(**{why: True}))
    assert environment.run(nobody_follows, REQUEST, (), asyncio.CancelledError()) is last
