"""What the arguments of several tools have in common."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from core.model import Frozen

PERIOD = re.compile(r"(this|last|next)_(week|month|quarter|year)|(last|next)_[1-9][0-9]{0,3}_days")


def known_period(said: str) -> str:
    if not PERIOD.fullmatch(said):
        raise ValueError(
            "expected this_week, last_month, next_quarter, last_30_days, or the like: "
            "this, last or next with week, month, quarter or year, or last or next with a "
            "number of days"
        )
    return said


Word = Annotated[str, Field(min_length=1, max_length=250)]
Identity = Annotated[str, Field(min_length=1, max_length=250)]
Money = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]
Period = Annotated[
    str,
    AfterValidator(known_period),
    Field(
        max_length=20,
        description="Days in the workspace's timezone: this_, last_ or next_ with week, month, "
        "quarter or year (of the calendar; weeks begin on Monday), or last_30_days or "
        "next_14_days with any number, today included.",
    ),
]


class Filters(Frozen):
    """Names are compared without regard to case; an id does as well."""

    pipeline: Word | None = Field(None, description="Only this pipeline, by name or id.")
    owner: Word | None = Field(
        None, description="Only deals of this owner, by name, email address or id."
    )
    segment: Word | None = Field(
        None, description="Only this segment, the deal's own or else its account's."
    )
    min_amount: Money | None = Field(
        None, description="Only deals of at least this amount, each in its own currency."
    )


class Paged(Frozen):
    limit: int = Field(50, ge=1, le=200, description="How many to list.")
    offset: int = Field(
        0, ge=0, le=100_000, description="How many to skip: the next page begins at offset + limit."
    )


class Listed(Paged, Filters):
    """A page of deals."""


class Span(Frozen):
    period: Period = "last_30_days"
    since: date | None = Field(None, description="First day, instead of the period's.")
    until: date | None = Field(
        None, description="Last day, itself included, instead of the period's; needs `since`."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until and not self.since:
            raise ValueError("`until` needs `since`")
        if self.since and self.until and self.since > self.until:
            raise ValueError("`since` is after `until`")
        return self
