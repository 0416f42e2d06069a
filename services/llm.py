from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, get_args

from core.budget import TopUp
from core.errors import FieldFault, Invalid, PerdureError, Unavailable
from core.faults import near
from core.llm import Capability, ModelName, Trial
from core.tool import Actor
from services.launch import Once
from store.llm_config import LLMChange as LLMChange
from store.llm_config import LLMConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from core.budget import UsageMonth
    from services.access import Access
    from services.wakes import Wakes
    from services.workspaces import WorkspaceRow
    from store.budgets import Budgets
    from store.llm_config import LLMConfigs
    from store.spending import Spending

# Longer than a call is waited for; one that is settled later all the same is corrected.
DEAD_AFTER = timedelta(minutes=30)
log = logging.getLogger(__name__)

CAPABILITIES: tuple[Capability, ...] = get_args(Capability)
# What no HTTP header can carry would look like a network fault when the key is used.
USABLE_KEY = re.compile(r"[\x21-\x7e]{8,512}")


class KeyCheck(Protocol):
    """Asks the provider; raises a PerdureError, which never holds the key."""

    async def check(self, provider: str, key: str) -> None: ...


class TakenAsItIs:
    """For an installation that reaches no provider from its gateway."""

    async def check(self, provider: str, key: str) -> None:
        pass


class Trials(Protocol):
    async def trials(self, workspace: str) -> list[Trial]:
        """Asks the model of each capability for a word."""
        ...


class NobodyToTry:
    """For an installation that reaches no provider from its gateway."""

    async def trials(self, workspace: str) -> list[Trial]:  # noqa: ARG002 - as the Protocol has it
        return []


@dataclass(frozen=True)
class ModelOffer:
    """What this installation can reach, and where each capability goes unless it is told."""

    providers: tuple[str, ...] = ("anthropic", "fireworks", "openai")
    routing: Mapping[Capability, tuple[ModelName, ...]] = field(default_factory=dict)
    check: KeyCheck = field(default_factory=TakenAsItIs)
    trials: Trials = field(default_factory=NobodyToTry)


ANYTHING = ModelOffer()


@dataclass(frozen=True)
class ConfigView:
    """`connected` says for each provider whether the workspace has a key of its own."""

    connected: Mapping[str, bool]
    routing: Mapping[Capability, tuple[ModelName, ...]]
    overridden: tuple[Capability, ...]
    token_budget: int | None
    run_max_tokens: int | None


class LLMService:
    def __init__(
        self,
        configs: LLMConfigs,
        budgets: Budgets,
        spending: Spending,
        wakes: Wakes,
        offer: ModelOffer,
    ) -> None:
        self._configs = configs
        self._budgets = budgets
        self._spending = spending
        self._wakes = wakes
        self._offer = offer

    async def config(self, workspace: str) -> ConfigView:
        return self._view(await self._configs.find(workspace))

    async def change(self, workspace: str, change: LLMChange) -> ConfigView:
        """Nothing of it is stored where a part cannot be used."""
        faults = [*self._key_faults(change), *self._routing_faults(change)]
        if faults:
            raise Invalid("the config cannot be used", faults)
        await self._check_keys(change)
        await self._configs.change(workspace, change)
        await self._wake()
        return await self.config(workspace)

    async def health(self, workspace: str) -> list[Trial]:
        return await self._offer.trials.trials(workspace)

    async def usage(self, workspace: WorkspaceRow) -> UsageMonth:
        return await self._spending.month(workspace.id, workspace.timezone, datetime.now(UTC))

    async def top_up(
        self,
        workspace: WorkspaceRow,
        tokens: int,
        access: Access,
        idempotency_key: str | None = None,
    ) -> UsageMonth:
        """The same key and request add once."""
        once = Once.of(idempotency_key, workspace.id, {"top_up": tokens})
        await self._spending.top_up(
            TopUp(
                workspace=workspace.id,
                timezone=workspace.timezone,
                tokens=tokens,
                by=Actor(kind="key", id=access.key_id),
                at=datetime.now(UTC),
                once=once and once.key,
                request=once and once.request,
            )
        )
        await self._wake()
        return await self.usage(workspace)

    async def look_after(self) -> None:
        """Counts what dead calls hold as spent, and tells whoever could not be told at once."""
        await self._budgets.reap(datetime.now(UTC) - DEAD_AFTER)
        await self._wakes.tell()

    async def _wake(self) -> None:
        """At once; whoever cannot be told now is told by the reconciler."""
        try:
            await self._wakes.tell()
        except Unavailable as away:
            log.warning("runs that wait for tokens are told later: %s", away)

    def _key_faults(self, change: LLMChange) -> Iterable[FieldFault]:
        for provider, key in change.keys.items():
            place = f"providers.{provider[:80]}"
            if provider not in self._offer.providers and key is not None:
                yield FieldFault(field=place, message=self._unknown(provider))
            elif key is not None and not USABLE_KEY.fullmatch(key):
                message = "expected 8 to 512 visible ASCII characters, without spaces"
                yield FieldFault(field=f"{place}.api_key", message=message)

    def _routing_faults(self, change: LLMChange) -> Iterable[FieldFault]:
        for capability, chain in change.routing.items():
            for model in chain or ():
                provider = model.partition("/")[0]
                if provider not in self._offer.providers:
                    yield FieldFault(field=f"routing.{capability}", message=self._unknown(provider))

    def _unknown(self, provider: str) -> str:
        return f"unknown provider{near(provider, self._offer.providers)}"

    async def _check_keys(self, change: LLMChange) -> None:
        faults: list[FieldFault] = []
        for provider, key in change.keys.items():
            if key is None:
                continue
            try:
                await self._offer.check.check(provider, key)
            except Unavailable:
                raise
            except PerdureError as error:
                message = f"{provider} does not take this key: {error.message}"
                faults.append(
                    FieldFault(
                        field=f"providers.{provider}.api_key", message=message.replace(key, "…")
                    )
                )
        if faults:
            raise Invalid("a key cannot be used", faults)

    def _view(self, config: LLMConfig) -> ConfigView:
        routing = {**self._offer.routing, **config.routing}
        providers = sorted({*self._offer.providers, *config.providers})
        return ConfigView(
            connected={provider: provider in config.providers for provider in providers},
            routing={name: routing[name] for name in CAPABILITIES if name in routing},
            overridden=tuple(name for name in CAPABILITIES if name in config.routing),
            token_budget=config.token_budget,
            run_max_tokens=config.run_max_tokens,
        )
