"""Providers of models: whoever answers, the question and the answer are the same."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from typing import Protocol

import httpx2

from core.llm import ModelAnswer, ModelQuestion
from llm.models import ModelTable, load
from llm.providers.adapter import Adapter, KeyCheck, Patience, Wire
from llm.providers.anthropic import MessagesWire
from llm.providers.openai_compatible import CompletionsWire

# What is nobody's secret: the demo model takes any key that could be one.
DEMO_KEY = "demo-key"
MOST_CONNECTIONS = 1000
# Each request looks through all that are idle: with 200 of them a call costs twice the work.
MOST_IDLE = 100
IDLE_SECONDS = 15.0


class Provider(Protocol):
    async def ask(
        self, question: ModelQuestion, key: str, on_text: Callable[[str], None] | None = None
    ) -> ModelAnswer: ...

    async def check_key(self, key: str, models: Sequence[str]) -> KeyCheck: ...


@dataclass(frozen=True)
class ProviderSettings:
    """Addresses by provider, where they are not the usual; without `demo_url` there is no demo."""

    base_urls: Mapping[str, str] = field(default_factory=dict[str, str])
    demo_url: str | None = None
    patience: Patience = field(default_factory=Patience)

    def base_url(self, provider: str, usual: str | None) -> str | None:
        if provider == "demo":
            return self.demo_url
        if provider == "demo-openai":
            return f"{self.demo_url}/v1" if self.demo_url else None
        return self.base_urls.get(provider) or usual


@asynccontextmanager
async def open_providers(
    settings: ProviderSettings, table: ModelTable | None = None
) -> AsyncGenerator[Mapping[str, Provider]]:
    """One pool of connections for all; providers without an address are left out."""
    table = table or load()
    wires: dict[str, Wire] = {"messages": MessagesWire(), "completions": CompletionsWire()}
    async with _open_pool() as pool:
        yield {
            name: Adapter(name, wires[entry.wire], base_url, pool, table, settings.patience)
            for name, entry in table.providers.items()
            if (base_url := settings.base_url(name, entry.base_url)) is not None
        }


def _open_pool() -> httpx2.AsyncClient:
    # New connections for each call would cost 20 ms of work and grow the process.
    return httpx2.AsyncClient(
        headers={"accept": "application/json", "user-agent": f"perdure/{version('perdure')}"},
        # What a provider tells one tenant must not come back to it with another's key.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        follow_redirects=False,
        limits=httpx2.Limits(
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=MOST_IDLE,
            keepalive_expiry=IDLE_SECONDS,
        ),
        # What is on this machine is never behind a proxy.
        mounts={"all://127.0.0.1": None, "all://localhost": None},
    )


__all__ = ["DEMO_KEY", "KeyCheck", "Patience", "Provider", "ProviderSettings", "open_providers"]
