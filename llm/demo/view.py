"""What a request asks, and what is answered, without the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Wire = Literal["messages", "completions"]
Role = Literal["user", "assistant", "tool"]


@dataclass(frozen=True)
class Call:
    """`raw` is sent in place of the arguments where a fault wants them unreadable."""

    name: str
    arguments: dict[str, Any]
    id: str = ""
    raw: str | None = None


@dataclass(frozen=True)
class Said:
    role: Role
    text: str = ""
    calls: tuple[Call, ...] = ()
    answers: str | None = None  # the id of the call that a tool's text answers
    failed: bool = False


@dataclass(frozen=True)
class Offered:
    name: str
    description: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class View:
    wire: Wire
    model: str
    system: str
    said: tuple[Said, ...]
    tools: tuple[Offered, ...] = ()
    schema: dict[str, Any] | None = None
    max_tokens: int = 4096
    parallel: bool = True
    streamed: bool = False
    digest: str = ""
    size: int = 0
    body: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def since_asked(self) -> tuple[Said, ...]:
        """All that was said after the last text of the user."""
        last = max((n for n, each in enumerate(self.said) if each.role == "user"), default=-1)
        return self.said[last + 1 :]

    @property
    def asked(self) -> str:
        return "\n".join(each.text for each in self.said if each.role == "user")

    @property
    def results(self) -> tuple[tuple[str, Said], ...]:
        """The name of the tool beside each of its answers, in order."""
        names = {call.id: call.name for each in self.said for call in each.calls}
        return tuple(
            (names.get(each.answers or "", ""), each) for each in self.said if each.role == "tool"
        )


@dataclass(frozen=True)
class Reply:
    text: str = ""
    calls: tuple[Call, ...] = ()
    stop: str | None = None  # a word of ours: end tools length refusal context pause
    refusal: str | None = None


Handler = Callable[[View], Reply | None]
