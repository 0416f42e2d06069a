"""Which model answers, with whose key."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, get_args

from core.budget import AlreadyAnswered
from core.effects import ModelReply, ModelRequest
from core.errors import (
    ConnectionFailed,
    ModelConfig,
    ModelError,
    ModelNotFound,
    Overloaded,
    ProviderError,
    ProviderTimeout,
    QuotaExhausted,
)
from core.llm import (
    Capability,
    KeySource,
    ModelAnswer,
    ModelChoices,
    ModelQuestion,
    Trial,
    UserTurn,
)
from llm.payment import Budgets, Heard, IsLast, Payments, Prices, estimated

# Failures of one model before the next in the chain is asked.
OWN_ATTEMPTS = 2
TRY_ANOTHER_NOW = (QuotaExhausted, ModelNotFound)
TRY_ANOTHER_LATER = {
    error.code for error in (Overloaded, ProviderError, ProviderTimeout, ConnectionFailed)
}
LONGEST_CALL = timedelta(minutes=10)
TRIAL_TOKENS = 64
TRIAL_WITHIN = timedelta(seconds=20)
DEMO = "demo"


class Provider(Protocol):
    async def ask(
        self, question: ModelQuestion, key: str, on_text: Callable[[str], None] | None = None
    ) -> ModelAnswer: ...


class Configs(Protocol):
    async def choices(self, workspace: str) -> ModelChoices: ...


@dataclass(frozen=True)
class Choice:
    model: str
    key: str
    source: KeySource

    @property
    def provider(self) -> str:
        return self.model.partition("/")[0]


class Router:
    def __init__(
        self,
        providers: Mapping[str, Provider],
        prices: Prices,
        configs: Configs,
        budgets: Budgets,
        platform_keys: Mapping[str, str],
    ) -> None:
        """A platform key for `demo` lets the demo model answer where no other key is."""
        self._providers = providers
        self._configs = configs
        self._payments = Payments(prices, budgets)
        self._platform_keys = platform_keys

    async def answer(
        self,
        request: ModelRequest,
        question: ModelQuestion,
        attempt: int,
        failed_with: Sequence[str],
        is_last: IsLast,
    ) -> ModelReply:
        """`failed_with` are the codes of the attempts before: patience is asked for by some."""
        choices = await self._configs.choices(request.context.workspace)
        chain = self._chain(request, choices)
        # Whoever of the chain answers: it was asked of the first.
        question = question.model_copy(update={"model": chain[0].model})
        lost = sum(code in TRY_ANOTHER_LATER for code in failed_with)
        first = min(lost // OWN_ATTEMPTS, len(chain) - 1)
        for choice in chain[first:-1]:
            try:
                return await self._ask(choice, request, question, choices, attempt, is_last)
            except TRY_ANOTHER_NOW:
                continue
        return await self._ask(chain[-1], request, question, choices, attempt, is_last)

    async def trials(self, workspace: str) -> list[Trial]:
        """Asks the first model of each capability for a word; that is not counted anywhere."""
        choices = await self._configs.choices(workspace)
        return list(
            await asyncio.gather(*(self._try(name, choices) for name in get_args(Capability)))
        )

    async def _try(self, capability: Capability, choices: ModelChoices) -> Trial:
        try:
            choice = self._reachable(choices.routing[capability], choices)[0]
        except ModelConfig as error:
            return Trial(capability=capability, detail=error.message)
        known = Trial(capability=capability, model=choice.model, key_source=choice.source)
        question = ModelQuestion(
            model=choice.model, turns=(UserTurn(text="Say ok."),), max_tokens=TRIAL_TOKENS
        )
        began = time.monotonic()
        try:
            await self._within(choice, question, TRIAL_WITHIN)
        except ModelError as error:
            return known.model_copy(update={"detail": f"{error.code}: {error.message}"})
        latency = round((time.monotonic() - began) * 1000)
        return known.model_copy(update={"ok": True, "latency_ms": latency})

    def _chain(self, request: ModelRequest, choices: ModelChoices) -> list[Choice]:
        named = (request.model,) if request.model else choices.routing[request.capability]
        return self._reachable(named, choices)

    def _reachable(self, named: Sequence[str], choices: ModelChoices) -> list[Choice]:
        """Never from a workspace's own key to the platform's: that would move the cost."""
        chain = [found for name in named if (found := self._choice(name, choices)) is not None]
        if not chain:
            raise ModelConfig(f"no key for {', '.join(named)}: set one with `perdure llm config`")
        source = chain[0].source
        return [choice for choice in chain if (choice.source == "own") == (source == "own")]

    def _choice(self, model: str, choices: ModelChoices) -> Choice | None:
        provider = model.partition("/")[0]
        if provider not in self._providers:
            raise ModelConfig(f"there is no provider {provider!r}, which {model!r} names")
        if provider in choices.own_keys:
            return Choice(model, choices.own_keys[provider], "own")
        if provider == DEMO and DEMO in self._platform_keys:
            return Choice(model, self._platform_keys[DEMO], "demo")
        if provider in self._platform_keys:
            return Choice(model, self._platform_keys[provider], "platform")
        if DEMO in self._platform_keys:
            return Choice(f"{DEMO}/{model.partition('/')[2]}", self._platform_keys[DEMO], "demo")
        return None

    async def _ask(
        self,
        choice: Choice,
        request: ModelRequest,
        question: ModelQuestion,
        choices: ModelChoices,
        attempt: int,
        is_last: IsLast,
    ) -> ModelReply:
        reserved = await self._payments.reserve(
            choice.model, choice.source, request, question, choices, attempt
        )
        if isinstance(reserved, AlreadyAnswered):
            return ModelReply(
                answer=ModelAnswer.model_validate(reserved.answer),
                cost_nano=reserved.cost_nano,
                key_source=reserved.key_source,
                stored=True,
            )
        granted = reserved.tokens - estimated(question)
        question = question.model_copy(
            update={"model": choice.model, "max_tokens": max(1, min(question.max_tokens, granted))}
        )
        began = time.monotonic()
        heard = Heard()
        try:
            limit = request.timeout or LONGEST_CALL
            answer = await self._within(choice, question, limit, heard.add)
        except (ModelError, asyncio.CancelledError) as error:
            await self._payments.close(reserved, question, error, is_last, heard)
            raise
        latency = round((time.monotonic() - began) * 1000)
        cost = await self._payments.settle(reserved, choice.model, answer, latency)
        return ModelReply(
            answer=answer, cost_nano=cost, latency_ms=latency, key_source=choice.source
        )

    async def _within(
        self,
        choice: Choice,
        question: ModelQuestion,
        limit: timedelta,
        on_text: Callable[[str], None] | None = None,
    ) -> ModelAnswer:
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return await self._providers[choice.provider].ask(question, choice.key, on_text)
        except TimeoutError:
            message = f"{choice.model} took longer than {limit.total_seconds():g} s"
            raise ProviderTimeout(message) from None


class KeyChecks:
    """Whether a provider takes a key, before it is kept."""

    def __init__(self, providers: Mapping[str, Any]) -> None:
        self._providers = providers

    async def check(self, provider: str, key: str) -> None:
        try:
            async with asyncio.timeout(TRIAL_WITHIN.total_seconds()):
                await self._providers[provider].check_key(key, ())
        except TimeoutError:
            message = f"{provider} took longer than {TRIAL_WITHIN.total_seconds():g} s"
            raise ProviderTimeout(message) from None
