"""What a call takes from the budget: reserved before it, settled after it, whatever it came to."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

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
from core.effects import ModelRequest
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
    ProviderPermission,
    QuotaExhausted,
    RateLimited,
    RequestTooLarge,
    RunTokensExhausted,
    Unavailable,
)
from core.llm import KeySource, ModelAnswer, ModelChoices, ModelQuestion, Usage
from llm.providers.answers import BYTES_A_TOKEN

log = logging.getLogger(__name__)

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
SOON = timedelta(seconds=2)
LEAST_ANSWER = 256  # tokens; with less there is no point in asking
# To close a call that brought no answer: a worker may wait for it to stop.
LEDGER_WITHIN = timedelta(seconds=5)
T = TypeVar("T")
NoAnswer = ModelError | asyncio.CancelledError
IsLast = Callable[[NoAnswer], bool]


@dataclass
class Heard:
    """How much of an answer has come in: it is streamed, so that this is known if it breaks off."""

    bytes: int = 0

    def add(self, text: str) -> None:
        # A stream may break in the midst of what JSON writes as two halves of a character.
        self.bytes += len(text.encode(errors="replace"))

    def usage(self, question: ModelQuestion) -> Usage | None:
        if not self.bytes:
            return None
        # Providers charge for no more than was asked for, however much they sent.
        out = min(self.bytes // BYTES_A_TOKEN + 1, question.max_tokens)
        return Usage(input=estimated(question), output=out, estimated=True)


class Prices(Protocol):
    def price(self, name: str, usage: Usage, at: datetime) -> int | None:
        """In billionths of a dollar; None is unknown."""
        ...

    def price_version(self, name: str, at: datetime) -> str | None: ...


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
    async def spend(
        self, call: CallId, usage: Usage, *, cost_nano: int | None, price_version: str | None
    ) -> object: ...
    async def release(self, call: CallId) -> None: ...


class Payments:
    """What is begun in the ledger is finished there, also when the call is cancelled meanwhile."""

    def __init__(self, prices: Prices, budgets: Budgets) -> None:
        self._prices = prices
        self._budgets = budgets

    async def reserve(
        self,
        model: str,
        source: KeySource,
        request: ModelRequest,
        question: ModelQuestion,
        choices: ModelChoices,
        attempt: int,
    ) -> Reserved | AlreadyAnswered:
        context = request.context
        tokens = estimated(question)
        ask = Reserve(
            workspace=context.workspace,
            timezone=choices.timezone,
            run=context.run,
            lineage=context.lineage,
            path=context.path,
            skill=request.skill,
            model=model,
            key_source=source,
            call_key=f"{context.lineage}:{context.path}",
            attempt=attempt,
            request_hash=request_hash(request, question),
            tokens=tokens + question.max_tokens,
            least=tokens + min(LEAST_ANSWER, question.max_tokens),
            run_limit=lower(request.run_limit, choices.run_max_tokens),
            at=datetime.now(UTC),
        )
        match await finished(self._budgets.reserve(ask), if_cancelled=self._give_back):
            case Reserved() | AlreadyAnswered() as found:
                return found
            case Exhausted() as found:
                message = f"the month's budget has {found.tokens_left:,} tokens left"
                raise BudgetExceeded(message, resets_at=found.resets_at.isoformat())
            case RunExhausted() as found:
                message = f"the run may use {found.limit:,} tokens; {found.tokens_left:,} are left"
                raise RunTokensExhausted(message)
            case Crowded() | InFlight():
                raise BudgetCrowded("calls under way hold the budget", retry_after=SOON)

    async def settle(
        self, reserved: Reserved, model: str, answer: ModelAnswer, latency_ms: int
    ) -> int | None:
        """Gives what the answer cost."""
        now = datetime.now(UTC)
        cost = self._prices.price(model, answer.usage, now)
        await finished(
            self._budgets.settle(
                reserved.call,
                answer.usage,
                cost_nano=cost,
                price_version=self._prices.price_version(model, now),
                latency_ms=latency_ms,
                answer=answer.model_dump(mode="json"),
            )
        )
        return cost

    async def close(
        self,
        reserved: Reserved,
        question: ModelQuestion,
        why: NoAnswer,
        is_last: IsLast,
        heard: Heard,
    ) -> None:
        """For a call without an answer: another attempt of it takes over what this one holds."""
        usage = heard.usage(question)
        if usage is None and surely_not_processed(why):
            await finished(self._release(reserved))
        elif is_last(why):
            await finished(self._spend(reserved, question, usage))

    async def _give_back(self, found: Reservation) -> None:
        if isinstance(found, Reserved):
            await self._release(found)

    async def _release(self, reserved: Reserved) -> None:
        with left_to_the_reaper():
            async with asyncio.timeout(LEDGER_WITHIN.total_seconds()):
                await self._budgets.release(reserved.call)

    async def _spend(
        self, reserved: Reserved, question: ModelQuestion, usage: Usage | None
    ) -> None:
        """What nobody can know is counted in full, as it is where nobody settles a call at all."""
        now = datetime.now(UTC)
        cost = None
        if usage is not None:
            cost = self._prices.price(question.model, usage, now)
        else:
            sent = min(estimated(question), reserved.tokens)
            usage = Usage(input=sent, output=reserved.tokens - sent, estimated=True)
        version = self._prices.price_version(question.model, now)
        with left_to_the_reaper():
            async with asyncio.timeout(LEDGER_WITHIN.total_seconds()):
                await self._budgets.spend(
                    reserved.call, usage, cost_nano=cost, price_version=version
                )


def left_to_the_reaper() -> suppress:
    """Of two failures the call's own is the one to tell; what stays open is closed later."""
    return suppress(Unavailable, TimeoutError)


async def finished(
    work: Coroutine[Any, Any, T],
    if_cancelled: Callable[[T], Coroutine[Any, Any, None]] | None = None,
) -> T:
    """Where whoever waits is cancelled, the work has a moment to end, and then to be undone."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        try:
            async with asyncio.timeout(LEDGER_WITHIN.total_seconds()):
                found = await task
                if if_cancelled is not None:
                    await if_cancelled(found)
        except Exception as error:
            # Raised, it would pass for the end of a call that another worker could go on with.
            log.warning("a cancelled call is left to the reaper: %s", type(error).__name__)
        raise
    return task.result()


def surely_not_processed(why: NoAnswer) -> bool:
    if isinstance(why, ConnectionFailed):
        return why.data.get("processed") == "no"
    return isinstance(why, NOT_PROCESSED)


def lower(one: int | None, other: int | None) -> int | None:
    """None is no limit."""
    return min((each for each in (one, other) if each is not None), default=None)


def estimated(question: ModelQuestion) -> int:
    """Tokens of what is sent, rather too many than too few."""
    return len(canonical(question.model_dump(mode="json")).encode()) // BYTES_A_TOKEN + 1


def request_hash(request: ModelRequest, question: ModelQuestion) -> str:
    """The same question to the same model, so that its answer may serve again."""
    return digest_of_text(canonical([request.capability, question.model_dump(mode="json")]))
