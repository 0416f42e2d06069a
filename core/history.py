"""What a run's history says, free of Temporal's types; the log and retries are made from it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic_core import from_json

from core.run import Failure


class Note(Protocol):
    """What a failed attempt left behind: history keeps only the last."""

    @property
    def path(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def failure(self) -> Failure: ...
    @property
    def will_retry(self) -> bool: ...
    @property
    def at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Json:
    """A value that is parsed only where somebody looks at it."""

    raw: bytes = b"null"

    def load(self) -> Any:
        return from_json(self.raw)

    def fields(self) -> dict[str, Any]:
        value = self.load()
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Happened:
    """`id` counts from 1 in each execution; the log orders by it."""

    id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Began(Happened):
    workflow: str
    type: str
    origin: Json
    continued: bool


@dataclass(frozen=True, slots=True)
class Scheduled(Happened):
    activity: str
    type: str
    request: Json


@dataclass(frozen=True, slots=True)
class Attempted(Happened):
    """Written when the attempt closes, not when it begins."""

    scheduled: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Completed(Happened):
    scheduled: int
    output: Json


@dataclass(frozen=True, slots=True)
class Failed(Happened):
    scheduled: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class Cancelled(Happened):
    scheduled: int


@dataclass(frozen=True, slots=True)
class ChildInitiated(Happened):
    workflow: str
    type: str


@dataclass(frozen=True, slots=True)
class ChildClosed(Happened):
    initiated: int
    how: Literal["completed", "failed", "cancelled"]
    output: Json
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class TimerSet(Happened):
    """`summary` is the path of the step that waits, if it is one."""

    summary: str | None
    until: datetime


@dataclass(frozen=True, slots=True)
class TimerEnded(Happened):
    started: int
    how: Literal["fired", "cancelled"]


@dataclass(frozen=True, slots=True)
class Signalled(Happened):
    name: str
    argument: Json


@dataclass(frozen=True, slots=True)
class Marked(Happened):
    """A local activity that succeeded."""

    type: str
    result: Json


@dataclass(frozen=True, slots=True)
class Asked(Happened):
    """An update was accepted."""

    name: str
    argument: Json


@dataclass(frozen=True, slots=True)
class Answered(Happened):
    """An update was answered; `failure` where it was refused."""

    accepted: int
    output: Json
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class CancelAsked(Happened):
    reason: str


@dataclass(frozen=True, slots=True)
class Closed(Happened):
    how: Literal["completed", "failed", "cancelled", "terminated", "timed_out", "continued"]
    output: Json
    failure: Failure | None
    reason: str
    following: str | None
