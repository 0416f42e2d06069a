"""What a flow does to the world, and how that may fail; Temporal and tests implement it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from core.digest import size_of
from core.effects import ApproveWrites, Settled
from core.flow import Retry, Step
from core.llm import Capability, ModelAnswer, Turn
from core.run import Failure
from core.scope import Frame
from core.template import SecretUse


class StepFailed(Exception):
    """`told`: the history shows this failure already, by an activity or a child."""

    def __init__(self, failure: Failure, told: bool = False) -> None:  # noqa: FBT001, FBT002
        super().__init__(failure.message)
        self.failure = failure
        self.told = told


class EachFailed(Exception):
    """An item failed for good; the step's own `on_error` was the item's and has been asked."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Halted(Exception):
    """A sibling failed: this line of work stops before its next step."""


@dataclass(frozen=True)
class Compute:
    path: str
    tool: str
    arguments: dict[str, Any]
    secrets: tuple[SecretUse, ...]
    timeout: timedelta | None
    retry: Retry | None
    # Where a model asks: what its step offers it, and whether a person is asked before a write.
    offered: tuple[str, ...] | None = None
    approve_writes: ApproveWrites = "never"


@dataclass(frozen=True)
class ChildRun:
    path: str
    skill: str
    inputs: dict[str, Any]
    timeout: timedelta | None


@dataclass(frozen=True)
class Pause:
    """A wait of this length, or until this time."""

    path: str
    length: str | None
    until: str | None


@dataclass(frozen=True)
class Await:
    """An event of this name that meets the condition, which reads `known` besides it."""

    path: str
    event: str
    matching: str | None
    known: dict[str, Any]
    length: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class Approval:
    path: str
    message: str
    timeout: timedelta | None


@dataclass(frozen=True)
class Notify:
    path: str
    channel: str
    message: Any
    timeout: timedelta | None
    retry: Retry | None


@dataclass(frozen=True)
class Ask:
    """One call of a model. `tools` are patterns of what it is offered; None offers none."""

    path: str
    capability: Capability
    turns: tuple[Turn, ...]
    instructions: bool = False
    tools: tuple[str, ...] | None = None
    output_schema: dict[str, Any] | None = None
    model: str | None = None
    max_tokens: int | None = None
    timeout: timedelta | None = None
    retry: Retry | None = None


@dataclass(frozen=True)
class Batch:
    """Items `lo` and on, of a `for_each` that is too large for one history."""

    path: str
    step: Step
    items: list[Any]
    frame: Frame


@dataclass
class Room:
    """What the outputs of a batch may still take, in bytes; once it is full, it stays so.

    What is in flight is expected to be as large as the largest that came.
    """

    left: int
    largest: int = 0
    in_flight: int = 0
    is_full: bool = False

    def takes_one(self) -> bool:
        self.is_full = self.is_full or (self.in_flight + 1) * self.largest > self.left
        return not self.is_full


@dataclass
class Items:
    """`failed` is the first failure that stops the whole; `errors` are those gone on from.

    Items from `begun` on were not begun: for the failure, or because the room was full.
    """

    outputs: list[Any]
    errors: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    failed: Failure | None = None
    begun: int = 0
    room: Room | None = None

    def admits(self, position: int) -> bool:
        if self.room is not None:
            if position >= self.begun and not self.room.takes_one():
                return False
            self.room.in_flight += 1
        self.begun = max(self.begun, position + 1)
        return True

    def keep(self, position: int, output: Any) -> None:
        self.outputs[position] = output
        if self.room is not None:
            size = size_of(output)
            self.room.in_flight -= 1
            self.room.left -= size
            self.room.largest = max(self.room.largest, size)

    def blame(self, error: dict[str, Any]) -> None:
        self.errors.append(error)
        if self.room is not None:
            self.room.left -= size_of(error)


class Effects(Protocol):
    """What a flow does to the world. Failures come as StepFailed."""

    async def gate(self) -> None:
        """Returns when the run is not paused."""
        ...

    async def breathe(self) -> None:
        """Lets other work go on after a long stretch of pure computing."""
        ...

    async def compute(self, call: Compute) -> Any: ...
    async def ask(self, call: Ask) -> ModelAnswer: ...
    async def notify(self, call: Notify) -> Any: ...
    async def child(self, call: ChildRun, halted: Callable[[], bool]) -> Any: ...
    async def wait(self, call: Pause, halted: Callable[[], bool]) -> Any: ...
    async def event(self, call: Await, halted: Callable[[], bool]) -> Any: ...
    async def approve(self, call: Approval, halted: Callable[[], bool]) -> Any: ...
    async def within(self, path: str, limit: timedelta, work: Awaitable[Any]) -> Any: ...
    async def back_off(self, path: str, length: timedelta, halted: Callable[[], bool]) -> None: ...
    def oversized(self, step: Step, count: int) -> bool:
        """Whether this many items of the step belong into batches."""
        ...

    async def batches(self, call: Batch) -> Items: ...
    def settle(self, settled: Settled) -> None:
        """Told of steps that end without an effect of their own."""
        ...
