"""Records of business data, as every source tells them; ids are the source's own."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)

from core.model import Frozen

Kind = Literal[
    "owners",
    "pipelines",
    "accounts",
    "contacts",
    "deals",
    "activities",
    "conversations",
    "quotas",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
Outcome = Literal["open", "won", "lost"]
ChangedField = Literal["stage", "amount", "close_date", "owner", "forecast_category"]

UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """Some systems let in NUL and halves of surrogate pairs; Postgres keeps none in a text."""
    return UNSTORABLE.sub("", text)


def in_a_year(at: datetime) -> datetime:
    try:
        at.astimezone(UTC)
    except OverflowError:
        raise ValueError("expected a time of the years 1 to 9999 in UTC") from None
    return at


Clean = Annotated[str, AfterValidator(storable)]
Moment = Annotated[AwareDatetime, AfterValidator(in_a_year)]
Whole = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Id = Annotated[Clean, Field(min_length=1, max_length=200)]
Name = Annotated[Clean, Field(max_length=1000)]
Text = Annotated[Clean, Field(max_length=200_000)]
Currency = Annotated[Clean, Field(max_length=10)]
# An index holds it whole.
Segment = Annotated[Clean, Field(max_length=200)]
Money = Annotated[Decimal, Field(max_digits=18, decimal_places=2)]
AMOUNT: TypeAdapter[Decimal] = TypeAdapter(Money)
DATE = TypeAdapter(date)
ID: TypeAdapter[str] = TypeAdapter(Id)


class RecordBase(Frozen):
    id: Id
    modified_at: Moment
    # Of what is deleted only the id and the time count.
    deleted: bool = False


class Owner(RecordBase):
    kind: Literal["owners"] = "owners"
    name: Name = ""
    email: Name | None = None
    team: Name | None = None
    active: bool = True


class Stage(Frozen):
    id: Id
    name: Name
    position: Whole
    probability: float | None = Field(default=None, ge=0, le=1)
    outcome: Outcome = "open"


class Pipeline(RecordBase):
    kind: Literal["pipelines"] = "pipelines"
    name: Name = ""
    position: Whole = 0
    stages: tuple[Stage, ...] = ()


class Account(RecordBase):
    kind: Literal["accounts"] = "accounts"
    name: Name = ""
    domain: Name | None = None
    industry: Name | None = None
    segment: Segment | None = None
    employees: Whole | None = None
    owner: Id | None = None
    url: Name | None = None
    created_at: Moment | None = None


class Contact(RecordBase):
    kind: Literal["contacts"] = "contacts"
    name: Name = ""
    email: Name | None = None
    title: Name | None = None
    account: Id | None = None
    owner: Id | None = None
    url: Name | None = None
    created_at: Moment | None = None


class DealContact(Frozen):
    contact: Id
    role: Name | None = None


class Change(Frozen):
    """What a field was from then on. A stage's and an owner's value is its id at the source."""

    field: ChangedField
    at: Moment
    value: Name | None = None

    @field_validator("value")
    @classmethod
    def _of_its_field(cls, value: str | None, known: ValidationInfo) -> str | None:
        """Amounts and dates in one spelling, so that they can be compared and counted."""
        match known.data.get("field"):
            case "amount" if value is not None:
                return f"{AMOUNT.validate_python(value):.2f}"
            case "close_date" if value is not None:
                return DATE.validate_python(value).isoformat()
            case "stage" | "owner" if value is not None:
                return ID.validate_python(value)
            case _:
                return value


class Deal(RecordBase):
    """`changes` is all that is known of its past; where empty, it is noted from now on."""

    kind: Literal["deals"] = "deals"
    name: Name = ""
    pipeline: Id = "default"
    stage: Id = "unknown"
    amount: Money | None = None
    currency: Currency | None = None
    close_date: date | None = None
    owner: Id | None = None
    account: Id | None = None
    segment: Segment | None = None
    forecast_category: Name | None = None
    next_step: Text | None = None
    lost_reason: Text | None = None
    url: Name | None = None
    created_at: Moment | None = None
    closed_at: Moment | None = None
    contacts: tuple[DealContact, ...] = ()
    changes: tuple[Change, ...] = ()


class Activity(RecordBase):
    kind: Literal["activities"] = "activities"
    type: Literal["call", "email", "meeting", "note", "task"] = "note"
    at: Moment | None = None
    subject: Name | None = None
    body: Text | None = None
    direction: Literal["in", "out"] | None = None
    outcome: Name | None = None
    owner: Id | None = None
    account: Id | None = None
    deals: tuple[Id, ...] = ()
    contacts: tuple[Id, ...] = ()


class Conversation(RecordBase):
    kind: Literal["conversations"] = "conversations"
    type: Literal["call", "email", "meeting", "chat"] = "call"
    title: Name = ""
    at: Moment | None = None
    participants: tuple[Name, ...] = ()
    transcript: Text = ""
    summary: Text | None = None
    owner: Id | None = None
    account: Id | None = None
    deals: tuple[Id, ...] = ()
    url: Name | None = None


class Quota(RecordBase):
    kind: Literal["quotas"] = "quotas"
    owner: Id | None = None
    pipeline: Id | None = None
    starts_on: date | None = None
    ends_on: date | None = None
    amount: Money = Decimal(0)
    currency: Currency | None = None


Record = Annotated[
    Owner | Pipeline | Account | Contact | Deal | Activity | Conversation | Quota,
    Field(discriminator="kind"),
]
