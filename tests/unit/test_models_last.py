"""Which failure of a model is the last one: nobody settles later what it may have cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from temporalio.common import RetryPolicy
from temporalio.testing import ActivityEnvironment

from activities.models import is_last
from core.effects import ModelRequest
from core.errors import BadResponse, InvalidKey, Overloaded, PerdureError
from core.tool import Actor, RunContext

CONTEXT = RunContext(
    workspace="w", run="r1", lineage="r1", path="say", actor=Actor(kind="user", id="ada")
)
REQUEST = ModelRequest(
    capability="generate", turns=(), digest="d", context=CONTEXT, skill="s", version="v"
)


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
    environment = ActivityEnvironment()
    policy = RetryPolicy(maximum_attempts=5)
    environment.info = replace(environment.info, attempt=attempt, retry_policy=policy)
    request = REQUEST.model_copy(update={"attempts": asked})
    assert environment.run(is_last, request, before, error) is last
