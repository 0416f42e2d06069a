"""The table of models: where each is, what it wants, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import Field, model_validator

from core.llm import Capability, ModelName, Usage
from core.model import Frozen

TABLE = Path(__file__).with_name("models.yaml")
# A dollar for a million tokens is a thousand billionths of a dollar for one.
NANO_A_TOKEN = 1000

Wire = Literal["messages", "completions"]
# schema: the provider enforces it; json: it only promises JSON, and the schema is in the prompt.
Structured = Literal["schema", "json"]
Thinking = Literal["adaptive", "enabled", "disabled", "between_tools"]


class Profile(Frozen):
    """How a model wants to be asked."""

    wire: Wire
    max_param: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    structured: Structured = "schema"
    strict_ok: bool = True
    parallel_ok: bool = True
    cache_control: bool = False
    effort_with_tools: str | None = None
    thinking: tuple[Thinking, ...] = ()
    max_output: int | None = None


class ProviderEntry(Profile):
    base_url: str | None = None


class Rates(Frozen):
    """Dollars for a million tokens; what is absent is unknown."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write_5m: Decimal | None = None

    def nano(self, usage: Usage) -> int | None:
        parts = (
            (usage.input, self.input),
            (usage.cache_read, self.cache_read),
            (usage.cache_write, self.cache_write_5m),
            (usage.output, self.output),
        )
        total = Decimal(0)
        for tokens, rate in parts:
            if tokens and rate is None:
                return None
            total += tokens * (rate or 0) * NANO_A_TOKEN
        return int(total.to_integral_value(ROUND_HALF_UP))


class LongRates(Rates):
    tokens: int


class Price(Rates):
    effective_from: date
    above: LongRates | None = None
    source: str
    checked_on: date


class Model(Frozen):
    provider: str
    model: str
    context: int | None = None
    max_output: int | None = None
    retires_at: date | None = None
    prices: tuple[Price, ...] = ()
    flags: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, data: Any) -> Any:
        """What a profile may say is a flag, wherever it stands."""
        own = {key: value for key, value in data.items() if key in cls.model_fields}
        return {**own, "flags": {key: data[key] for key in data if key not in own}}

    def price_at(self, at: datetime) -> Price | None:
        day = at.astimezone(UTC).date()
        known = [price for price in self.prices if price.effective_from <= day]
        return max(known, key=lambda price: price.effective_from, default=None)


class ModelTable:
    """Raises ValueError, naming the entry, where the data is wrong."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.providers = {
            name: ProviderEntry.model_validate(entry) for name, entry in data["providers"].items()
        }
        entries = [Model.model_validate(entry) for entry in data["models"]]
        self._models = {model.name: model for model in entries}
        if len(self._models) < len(entries):
            raise ValueError("a model is listed twice")
        for model in entries:
            self.profile(model.name)
        self.routing = _routing(data["routing"])
        for name in {name for chain in self.routing.values() for name in chain}:
            if name not in self._models:
                raise ValueError(f"routing names {name}, which is not listed")

    def profile(self, name: str) -> Profile:
        """What the provider says, unless the model says otherwise."""
        provider = name.partition("/")[0]
        if provider not in self.providers:
            raise ValueError(f"{name}: there is no provider {provider!r}")
        model = self._models.get(name)
        own = {**model.flags, "max_output": model.max_output} if model else {}
        shared = self.providers[provider].model_dump(exclude={"base_url"})
        return Profile.model_validate({**shared, **own})

    def price(self, name: str, usage: Usage, at: datetime) -> int | None:
        """In billionths of a dollar; None is unknown, as when one needed rate is."""
        model = self._models.get(name)
        price = model.price_at(at) if model else None
        if price is None:
            return None
        prompt = usage.input + usage.cache_read + usage.cache_write
        long = price.above is not None and prompt > price.above.tokens
        return (price.above if long and price.above else price).nano(usage)

    def price_version(self, name: str, at: datetime) -> str | None:
        """The day from which the price that holds then has held."""
        model = self._models.get(name)
        price = model.price_at(at) if model else None
        return price.effective_from.isoformat() if price else None


def _routing(data: Mapping[str, list[str]]) -> dict[Capability, tuple[ModelName, ...]]:
    return {
        capability: tuple(ModelName(name) for name in data[capability])
        for capability in get_args(Capability)
    }


@cache
def load() -> ModelTable:
    return ModelTable(yaml.safe_load(TABLE.read_text(encoding="utf-8")))
