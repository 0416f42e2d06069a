"""A workspace's tokens by the month: what is asked of them before a model is called."""

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field

from core.llm import KeySource, Usage
from core.model import Frozen
from core.run import TokenUsage
from core.tool import Actor

NANO = 1_000_000_000


class Month(Frozen):
    """A calendar month as the workspace's zone has it, named by its first day."""

    first: date
    resets_at: datetime

    @property
    def name(self) -> str:
        return f"{self.first:%Y-%m}"


def month_of(timezone: str, at: datetime) -> Month:
    """By Python's table of zones: Postgres' own may be older than the one names are checked by."""
    zone = ZoneInfo(timezone)
    first = at.astimezone(zone).date().replace(day=1)
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    resets = datetime.combine(following, time(), zone).astimezone(UTC)
    return Month(first=first, resets_at=resets)


class CallId(Frozen):
    workspace: str
    id: int


class Reserve(Frozen):
    """A call about to be made.

    `call_key` names the effect: the same in every attempt, and in every run of a retry chain.
    `attempt` grows with each try that a run makes of it, whatever activity makes it.
    `tokens` is what it may cost at most; with `least`, less than that may be granted.
    """

    workspace: str
    timezone: str
    run: str
    lineage: str
    path: str
    turn: int = 0
    skill: str
    model: str
    key_source: KeySource
    call_key: str
    attempt: int
    request_hash: str
    tokens: int = Field(ge=0)
    least: int | None = Field(None, ge=0)
    run_limit: int | None = None
    at: datetime


class Reserved(Frozen):
    """To be settled, or released where the request surely was not processed."""

    call: CallId
    tokens: int


class AlreadyAnswered(Frozen):
    """The same request was paid for before."""

    call: CallId
    answer: Any
    model: str
    usage: Usage
    cost_nano: int | None
    key_source: KeySource


class Exhausted(Frozen):
    """The month's budget does not hold this call: it fits at the reset, or after a top-up."""

    tokens_left: int
    resets_at: datetime


class RunExhausted(Frozen):
    """The run's own limit does not hold this call, and nothing will change that."""

    tokens_left: int
    limit: int


class Crowded(Frozen):
    """Calls under way hold what this one needs: it may fit as soon as they are settled."""

    tokens_left: int


class InFlight(Frozen):
    """This very attempt is under way elsewhere."""


Reservation = Reserved | AlreadyAnswered | Exhausted | RunExhausted | Crowded | InFlight


class TopUp(Frozen):
    """More tokens for this month; `once` and `request` are hashes of an idempotency key and of
    the request it came with."""

    workspace: str
    timezone: str
    tokens: int = Field(gt=0)
    by: Actor
    at: datetime
    once: bytes | None = None
    request: bytes | None = None


class RunUsage(Frozen):
    """`cost_nano` is in billionths of a dollar, of the calls whose price is known."""

    tokens: TokenUsage = TokenUsage()
    calls: int = 0
    cost_nano: int | None = None
    unpriced_calls: int = 0

    @property
    def dollars(self) -> float | None:
        """None where a part of it is unknown: less than was paid would be no cost."""
        if self.cost_nano is None or self.unpriced_calls:
            return None
        return self.cost_nano / NANO


class SkillUsage(Frozen):
    """`tokens` of all keys; `own_tokens` of them went by keys of the workspace's own."""

    skill: str
    calls: int
    tokens: int
    own_tokens: int
    cost_nano: int | None
    unpriced_calls: int


class Alert(Frozen):
    """So much of the month's budget, as it was then, had been used."""

    percent: int
    at: datetime


class UsageMonth(Frozen):
    """`used` and `reserved` count against the budget; None is no limit, top-ups are in it."""

    month: Month
    used: int = 0
    reserved: int = 0
    budget: int | None = None
    topped_up: int = 0
    alerts: tuple[Alert, ...] = ()
    skills: tuple[SkillUsage, ...] = ()

    @property
    def remaining(self) -> int | None:
        if self.budget is None:
            return None
        return max(0, self.budget - self.used - self.reserved)
