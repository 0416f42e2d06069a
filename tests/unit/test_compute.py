from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import pytest
from pydantic import BaseModel, model_validator
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.compute import ComputeActivities, checked
from activities.secrets import OpenedSecrets
from core.errors import InvalidArguments
from core.tool import ToolContext
from tools.registry import tool


class Span(BaseModel, extra="forbid"):
    low: int
    high: int

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


@tool("read")
async def measure(span: Span, _: ToolContext) -> int:
    """Measure a span."""
    return span.high - span.low


def test_refused_arguments_are_told_in_the_words_of_the_tool_alone() -> None:
    with pytest.raises(InvalidArguments) as caught:
        checked(measure, {"low": 2, "high": 1})
    assert caught.value.message == "`measure`: arguments: low is above high"


async def test_activity_nobody_knows_is_named_and_left_to_newer_workers() -> None:
    nothing: Any = None
    call = ComputeActivities(nothing, nothing, nothing, nothing).call
    environment = ActivityEnvironment()
    environment.info = replace(environment.default_info(), activity_type="llm.x")
    with pytest.raises(ApplicationError, match="no activity `llm") as caught:
        await environment.run(call, [])
    assert (caught.value.type, caught.value.non_retryable) == ("activity_unknown", False)


def test_secret_inside_a_tuple_is_hidden() -> None:
    secrets = OpenedSecrets(values=("hunter2",))
    assert secrets.hide_in({"a": ("hunter2", 1)}) == {"a": ["***", 1]}
