"""How a workspace uses models: by whose keys, in which order, and within which limits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pydantic import Field

from perdure.connection import at
from perdure.model import Answer
from perdure.wire import IDEMPOTENCY_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.connection import Connection
    from perdure.wire import Wire


TRIED_WITHIN = timedelta(minutes=2)


class Provider(Answer):
    """`connected`: the workspace has a key of its own; without one the platform's serves."""

    provider: str
    connected: bool = False


class Config(Answer):
    """`overridden` names the routes that the workspace chose itself; None is no limit."""

    providers: tuple[Provider, ...] = ()
    routing: dict[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    overridden: tuple[str, ...] = ()
    token_budget: int | None = None
    run_max_tokens: int | None = None


class SkillUsage(Answer):
    """`cost` is of the calls whose price is known."""

    skill_id: str
    calls: int = 0
    tokens: int = 0
    own_tokens: int = 0
    cost: float | None = None
    unpriced_calls: int = 0


class Alert(Answer):
    percent: int
    at: datetime


class Usage(Answer):
    """`tokens_used` counts against the budget, `own_tokens` went by keys of the workspace's own."""

    period: str
    tokens_used: int = 0
    tokens_reserved: int = 0
    token_budget: int | None = None
    topped_up: int = 0
    tokens_remaining: int | None = None
    own_tokens: int = 0
    resets_at: datetime | None = None
    alerts: tuple[Alert, ...] = ()
    by_skill: tuple[SkillUsage, ...] = ()


class Trial(Answer):
    """What came of asking the model that would serve a capability."""

    capability: str
    model: str | None = None
    key_source: str | None = None
    ok: bool = False
    latency_ms: int | None = None
    detail: str | None = None


class Health(Answer):
    ok: bool
    capabilities: tuple[Trial, ...] = ()


class LLM:
    def __init__(self, wire: Wire, connection: Connection) -> None:
        self._wire = wire
        self._connection = connection

    async def config(self) -> Config:
        return Config.read(await self._wire.get(self._connection.below("llm", "config")))

    async def set_key(self, provider: str, key: str) -> Config:
        """The gateway asks the provider whether the key is good; it never comes back."""
        return await self._change(providers={provider: {"api_key": key}})

    async def remove_key(self, provider: str) -> Config:
        return await self._change(providers={provider: None})

    async def route(self, capability: str, models: Sequence[str] | None) -> Config:
        """The later ones answer where the first cannot; None is the installation's choice."""
        return await self._change(routing={capability: None if models is None else list(models)})

    async def set_budget(self, tokens: int | None) -> Config:
        """For each month; None is no limit, 0 is nothing."""
        return await self._change(token_budget=tokens)

    async def set_run_limit(self, tokens: int | None) -> Config:
        """For all calls of one run; None is no limit."""
        return await self._change(run_max_tokens=tokens)

    async def test(self) -> Health:
        """Asks the model of each capability for a word; an admin key asks with the platform's."""
        return Health.read(await self._wire.send("GET", at("health", "llm"), patience=TRIED_WITHIN))

    async def usage(self) -> Usage:
        return Usage.read(await self._wire.get(self._connection.below("llm", "usage")))

    async def top_up(self, tokens: int) -> Usage:
        """Adds to this month's budget; runs that wait for it go on."""
        # A key of its own makes it safe to ask again when the connection breaks.
        headers = {IDEMPOTENCY_KEY: str(uuid4())}
        body = {"action": "top_up", "tokens": tokens}
        path = self._connection.below("llm", "usage")
        return Usage.read(await self._wire.send("POST", path, json=body, headers=headers))

    async def _change(self, **change: Any) -> Config:
        path = self._connection.below("llm", "config")
        return Config.read(await self._wire.send("POST", path, json=change))
