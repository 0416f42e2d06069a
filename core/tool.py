from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, NewType

from pydantic import BaseModel, Field

from core.model import Frozen

ToolName = NewType("ToolName", str)
Effect = Literal["read", "write"]
Mode = Literal["live", "dry"]


class Actor(Frozen):
    kind: Literal["user", "key", "system"]
    id: str


class RunContext(Frozen):
    """What a tool may know of the run that calls it; always bound to one workspace."""

    workspace: str
    run: str
    lineage: str
    path: str
    actor: Actor
    mode: Mode = "live"
    skill: str = ""
    version: str = ""


@dataclass(frozen=True)
class Tool:
    """A typed async function that compute steps call and models are offered.

    `effect` may depend on the input; `static_effect` is what is known without it, and `reads` the
    values that say enough: a call only reads where each of these arguments has one of its own.
    """

    name: ToolName
    description: str
    arguments: type[BaseModel]
    call: Callable[[Any, "ToolContext"], Awaitable[Any]]
    effect: Callable[[Any], Effect]
    static_effect: Effect
    timeout: timedelta = timedelta(seconds=60)
    secret_fields: frozenset[str] = frozenset()
    # Allowed whatever SKILL.md lists: it reaches nothing but the skill itself.
    own: bool = False
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True)
class ToolContext:
    """`effect_key` names this effect once and for ever: receivers get it as Idempotency-Key.

    `secrets` maps a JSON pointer into the arguments to the hosts its secrets are bound to.
    """

    run: RunContext
    effect_key: str
    secrets: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])


class ToolSpec(Frozen):
    """What a checker needs to know of a tool, without its code."""

    name: str
    description: str
    arguments: dict[str, Any]
    effect: Effect
    timeout: float
    secret_fields: tuple[str, ...] = ()
    own: bool = False
    reads: dict[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])

    def may_write(self, given: Mapping[str, Any]) -> bool:
        """Of a call as it is written: an expression is none of the values that only read."""
        if self.effect == "read" or not self.reads:
            return self.effect == "write"
        known: dict[str, Any] = self.arguments.get("properties", {})
        return any(
            given.get(name, known.get(name, {}).get("default")) not in values
            for name, values in self.reads.items()
        )
