"""The router as `worker.py` joins it: the ledger in Postgres, the providers over their wires."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from core.effects import ModelReply, ModelRequest
from core.errors import ModelError
from core.llm import ModelQuestion, UserTurn
from core.tool import Actor, RunContext
from llm.demo.server import DemoServer, Recorded, open_server
from llm.demo.view import Handler
from llm.models import load
from llm.payment import IsLast, NoAnswer
from llm.providers import Patience, ProviderSettings, open_providers
from llm.router import Provider, Router
from services.choices import Choices
from store.pool import Pool
from tests.integration.ledger import Ledger

PLATFORM = {"anthropic": "sk-ant-platform", "openai": "sk-platform"}
ATTEMPTS = 5
# Faults take no time here; only a model that says it is slow may be.
PATIENCE = Patience(connect=2.0, silence=5.0)


@dataclass
class Routed:
    demo: DemoServer
    providers: dict[str, Provider]
    ledger: Ledger

    def router(self, *chain: str, keys: dict[str, str] | None = None) -> Router:
        """With `chain` as the installation's routing; it remembers no workspace's choices yet."""
        defaults = dict.fromkeys(("extract", "classify", "generate", "reason"), chain)
        return Router(
            self.providers,
            load(),
            Choices(self.ledger.configs, defaults),  # pyright: ignore[reportArgumentType]
            self.ledger.budgets,
            PLATFORM if keys is None else keys,
        )

    async def until_it_ends(self, router: Router, **asked: Any) -> ModelReply | ModelError:
        """Attempt after attempt as Temporal makes them, without the pauses."""
        failed_with: list[str] = []
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await ask(
                    router,
                    attempt=attempt,
                    failed_with=failed_with,
                    is_last=lambda why, n=attempt: last(why) or n == ATTEMPTS,
                    **asked,
                )
            except ModelError as error:
                failed_with.append(error.code)
                if not error.retryable or attempt == ATTEMPTS:
                    return error
        raise AssertionError("there is a last attempt")

    @property
    def asked(self) -> list[str]:
        """The models in the order in which their providers were asked."""
        return [each.model for each in self.calls]

    @property
    def calls(self) -> list[Recorded]:
        return list(self.demo.requests)

    async def rows(self, *states: str) -> list[Any]:
        states = states or ("settled",)
        asked = "SELECT * FROM llm_calls WHERE state = ANY ($1::text[]) ORDER BY id"
        return await self.ledger.pool.fetch(asked, list(states))


@asynccontextmanager
async def open_routed(
    pool: Pool, handlers: Sequence[Handler] = (), patience: Patience = PATIENCE
) -> AsyncGenerator[Routed]:
    async with open_server(handlers=tuple(handlers), record="bodies") as demo:
        settings = ProviderSettings(
            base_urls={"anthropic": demo.url, "openai": f"{demo.url}/v1"},
            demo_url=demo.url,
            patience=patience,
        )
        async with open_providers(settings) as providers:
            yield Routed(demo, dict(providers), await Ledger.of(pool))


async def ask(
    router: Router,
    *,
    prompt: str = "Hello",
    path: str = "report",
    attempt: int = 1,
    model: str | None = None,
    run: str = "r1",
    lineage: str = "r1",
    workspace: str = "acme",
    max_tokens: int = 100,
    run_limit: int | None = None,
    failed_with: Sequence[str] = (),
    is_last: IsLast | None = None,
) -> ModelReply:
    turns = (UserTurn(text=prompt),)
    request = ModelRequest(
        capability="generate",
        turns=turns,
        model=model,
        max_tokens=max_tokens,
        digest="d",
        context=RunContext(
            workspace=workspace,
            run=run,
            lineage=lineage,
            path=path,
            actor=Actor(kind="user", id="tester"),
        ),
        skill="hygiene",
        version="v1",
        run_limit=run_limit,
    )
    question = ModelQuestion(model=model or "", turns=turns, max_tokens=max_tokens)
    return await router.answer(request, question, attempt, failed_with, is_last or last)


def last(why: NoAnswer) -> bool:
    return isinstance(why, ModelError) and not why.retryable


def code(outcome: ModelReply | ModelError) -> str:
    return outcome.code if isinstance(outcome, ModelError) else "answered"
