"""Which model answers, with whose key, out of which budget."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, get_args

from core.budget import (
    AlreadyAnswered,
    CallId,
    Crowded,
    Exhausted,
    InFlight,
    Reservation,
    Reserve,
    Reserved,
    RunExhausted,
)
from core.digest import canonical, digest_of_text
from core.effects import ModelReply, ModelRequest
from core.errors import (
    BudgetCrowded,
    BudgetExceeded,
    ConnectionFailed,
    ContextWindow,
    InvalidKey,
    InvalidModelRequest,
    ModelConfig,
    ModelError,
    ModelNotFound,
    Overloaded,
    ProviderError,
    ProviderPermission,
    ProviderTimeout,
    QuotaExhausted,
    RateLimited,
    RequestTooLarge,
    RunTokensExhausted,
    Unavailable,
)
from core.llm import (
    Capability,
    KeySource,
    ModelAnswer,
    ModelChoices,
    ModelQuestion,
    Trial,
    Usage,
    UserTurn,
)

# Failures of one model before the next in the chain is asked.
OWN_ATTEMPTS = 2
TRY_ANOTHER_NOW = (QuotaExhausted, ModelNotFound)
TRY_ANOTHER_LATER = {
    error.code for error in (Overloaded, ProviderError, ProviderTimeout, ConnectionFailed)
}
# After these the provider surely took nothing on, so the reservation is given back.
NOT_PROCESSED = (
    RateLimited,
    Overloaded,
    InvalidKey,
    ProviderPermission,
    QuotaExhausted,
    ModelNotFound,
    RequestTooLarge,
    ContextWindow,
    InvalidModelRequest,
    ModelConfig,
)
LONGEST_CALL = timedelta(minutes=10)
SOON = timedelta(seconds=2)
BYTES_A_TOKEN = 3
TRIAL_TOKENS = 64
TRIAL_WITHIN = timedelta(seconds=20)
LEAST_ANSWER = 256  # tokens; with less there is no point in asking
DEMO = "demo"
IsLast = Callable[[ModelError], bool]


class Provider(Protocol):
    async def ask(self, question: ModelQuestion, key: str) -> ModelAnswer: ...


class Prices(Protocol):
    def price(self, name: str, usage: Usage, at: datetime) -> int | None:
        """In billionths of a dollar; None is unknown."""
        ...

    def price_version(self, name: str, at: datetime) -> str | None: ...


class Configs(Protocol):
    async def choices(self, workspace: str) -> ModelChoices: ...


class Budgets(Protocol):
    async def reserve(self, ask: Reserve) -> Reservation: ...
    async def settle(
        self,
        call: CallId,
        usage: Usage,
        *,
        cost_nano: int | None,
        price_version: str | None,
        latency_ms: int | None,
        answer: Any,
    ) -> object: ...
    async def release(self, call: CallId) -> None: ...


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
        self._prices = prices
        self._configs = configs
        self._budgets = budgets
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
        reserved = await self._reserve(choice, request, question, choices, attempt)
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
        try:
            answer = await self._within(choice, question, request.timeout or LONGEST_CALL)
        except ModelError as error:
            if isinstance(error, NOT_PROCESSED) or never_arrived(error):
                await self._budgets.release(reserved.call)
            elif is_last(error):
                await self._spend(choice, question, reserved, error)
            raise
        latency = round((time.monotonic() - began) * 1000)
        now = datetime.now(UTC)
        cost = self._prices.price(choice.model, answer.usage, now)
        await self._budgets.settle(
            reserved.call,
            answer.usage,
            cost_nano=cost,
            price_version=self._prices.price_version(choice.model, now),
            latency_ms=latency,
            answer=answer.model_dump(mode="json"),
        )
        return ModelReply(
            answer=answer, cost_nano=cost, latency_ms=latency, key_source=choice.source
        )

    async def _spend(
        self, choice: Choice, question: ModelQuestion, reserved: Reserved, error: ModelError
    ) -> None:
        """What nobody can know is counted in full, as it is where nobody settles a call at all."""
        now = datetime.now(UTC)
        usage, cost = told_by(error), None
        if usage is not None:
            cost = self._prices.price(choice.model, usage, now)
        else:
            sent = min(estimated(question), reserved.tokens)
            usage = Usage(input=sent, output=reserved.tokens - sent, estimated=True)
        # Of the two failures the model's is the one to tell; the ledger closes the call later.
        with suppress(Unavailable):
            await self._budgets.settle(
                reserved.call,
                usage,
                cost_nano=cost,
                price_version=self._prices.price_version(choice.model, now),
                latency_ms=None,
                answer=None,
            )

    async def _within(
        self, choice: Choice, question: ModelQuestion, limit: timedelta
    ) -> ModelAnswer:
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return await self._providers[choice.provider].ask(question, choice.key)
        except TimeoutError:
            message = f"{choice.model} took longer than {limit.total_seconds():g} s"
            raise ProviderTimeout(message) from None

    async def _reserve(
        self,
        choice: Choice,
        request: ModelRequest,
        question: ModelQuestion,
        choices: ModelChoices,
        attempt: int,
    ) -> Reserved | AlreadyAnswered:
        context = request.context
        tokens = estimated(question)
        found = await self._budgets.reserve(
            Reserve(
                workspace=context.workspace,
                timezone=choices.timezone,
                run=context.run,
                lineage=context.lineage,
                path=context.path,
                skill=request.skill,
                model=choice.model,
                key_source=choice.source,
                call_key=f"{context.lineage}:{context.path}",
                attempt=attempt,
                request_hash=request_hash(request, question),
                tokens=tokens + question.max_tokens,
                least=tokens + min(LEAST_ANSWER, question.max_tokens),
                run_limit=lower(request.run_limit, choices.run_max_tokens),
                at=datetime.now(UTC),
            )
        )
        match found:
            case Reserved() | AlreadyAnswered():
                return found
            case Exhausted():
                message = f"the month's budget has {found.tokens_left:,} tokens left"
                raise BudgetExceeded(message, resets_at=found.resets_at.isoformat())
            case RunExhausted():
                message = f"the run may use {found.limit:,} tokens; {found.tokens_left:,} are left"
                raise RunTokensExhausted(message)
            case Crowded() | InFlight():
                raise BudgetCrowded("calls under way hold the budget", retry_after=SOON)


def told_by(error: ModelError) -> Usage | None:
    """What a stream had brought when it broke."""
    told = error.data.get("usage")
    return None if told is None else Usage.model_validate(told)


def never_arrived(error: ModelError) -> bool:
    return isinstance(error, ConnectionFailed) and error.data.get("processed") == "no"


def lower(one: int | None, other: int | None) -> int | None:
    """None is no limit."""
    return min((each for each in (one, other) if each is not None), default=None)


def estimated(question: ModelQuestion) -> int:
    """Tokens of what is sent, rather too many than too few."""
    return len(canonical(question.model_dump(mode="json")).encode()) // BYTES_A_TOKEN + 1


def request_hash(request: ModelRequest, question: ModelQuestion) -> str:
    """The same question to the same model, so that its answer may serve again."""
    return digest_of_text(canonical([request.capability, question.model_dump(mode="json")]))


class KeyChecks:
    """Whether a provider takes a key, before it is kept."""

    def __init__(self, providers: Mapping[str, Any]) -> None:
        self._providers = providers

    async def check(self, provider: str, key: str) -> None:
        await self._providers[provider].check_key(key, ())
