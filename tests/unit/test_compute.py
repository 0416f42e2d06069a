from __future__ import annotations

from typing import Self

import pytest
from pydantic import BaseModel, model_validator

from activities.compute import checked
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
