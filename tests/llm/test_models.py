from __future__ import annotations

import copy
from datetime import UTC, date, datetime
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from core.llm import Usage
from llm.models import TABLE, Model, ModelTable, load

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SONNET, HAIKU = "anthropic/claude-sonnet-5-5", "anthropic/claude-haiku-5-5"
DATA: dict[str, Any] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
MODELS = [Model.model_validate(entry) for entry in DATA["models"]]


def table(**changes: Any) -> ModelTable:
    data = copy.deepcopy(DATA)
    data["models"][0] |= changes
    return ModelTable(data)


def test_price_is_that_of_every_kind_of_token() -> None:
    usage = Usage(input=1_000, cache_read=10_000, cache_write=2_000, output=500)
    # 1k x $2 + 10k x $0.10 + 2k x $2.50 + 0.5k x $10, for a million each.
    assert load().price(SONNET, usage, NOW) == 2_000_000 + 1_000_000 + 5_000_000 + 5_000_000


def test_long_prompt_costs_more_in_all_its_parts() -> None:
    short = Usage(input=60_000, cache_read=40_000, output=1_000)
    long = Usage(input=60_001, cache_read=40_000, output=1_000)
    assert load().price(HAIKU, short, NOW) == 6_000_000 + 400_000 + 500_000
    assert load().price(HAIKU, long, NOW) == 30_000_500 + 2_000_000 + 2_500_000


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("anthropic/claude-nobody", Usage(input=1)),
        ("nobody/claude", Usage(input=1)),
        ("openai/gpt-4o", Usage(input=1)),
        ("fireworks/accounts/fireworks/models/deepseek-v4-flash", Usage(input=1, cache_read=1)),
    ],
)
def test_unknown_price_is_unknown_and_not_nothing(model: str, usage: Usage) -> None:
    assert load().price(model, usage, NOW) is None


def test_known_price_of_nothing_is_nothing() -> None:
    assert load().price(SONNET, Usage(), NOW) == 0


def test_price_holds_from_its_day_on() -> None:
    day = datetime(2026, 10, 7, tzinfo=UTC)
    before = datetime(2026, 10, 6, 23, 59, tzinfo=UTC)
    assert load().price(SONNET, Usage(input=1), day) == 2_000
    assert load().price(SONNET, Usage(input=1), before) is None
    later = {**DATA["models"][0]["prices"][0], "effective_from": date(2026, 11, 20), "input": 7}
    changed = table(prices=[later, DATA["models"][0]["prices"][0]])
    assert changed.price(HAIKU, Usage(input=1), NOW) == 7_000
    assert changed.price_version(HAIKU, NOW) == "2026-11-20"
    assert changed.price_version(HAIKU, day) == "2026-10-07"


def test_model_wants_what_its_provider_wants_unless_it_says_otherwise() -> None:
    loaded = load()
    assert loaded.profile("openai/gpt-7").max_param == "max_completion_tokens"
    assert loaded.profile("openai/gpt-4o").max_param == "max_tokens"
    assert loaded.profile(SONNET).thinking == ("adaptive", "between_tools")
    assert loaded.profile("fireworks/accounts/fireworks/models/deepseek-v4-flash").structured == (
        "json"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature_ok": True},
        {"max_param": "max_words"},
        {"thinking": ["deeply"]},
        {"prices": [{"input": 1, "output": 1}]},
        {"prices": [{**DATA["models"][0]["prices"][0], "inptu": 1}]},
        {"provider": "nobody"},
        {"model": "claude-sonnet-5-5"},
        {"retires_at": "soon"},
    ],
)
def test_wrong_entry_is_refused_when_the_table_is_read(changes: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, ValueError)):
        table(**changes)


def test_table_says_where_each_price_is_from() -> None:
    for model in MODELS:
        for price in model.prices:
            assert price.source.startswith("https://")
            assert price.effective_from <= price.checked_on
            assert price.input < price.output


def test_models_that_go_say_when() -> None:
    ends = {
        f"{each['provider']}/{each['model']}": each.get("retires_at") for each in DATA["models"]
    }
    assert ends["anthropic/claude-sonnet-4-5"] == date(2026, 11, 30)
    assert "anthropic/claude-sonnet-4-20250514" not in ends
