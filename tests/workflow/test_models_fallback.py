"""The next model of a chain answers where one cannot, and only there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core.effects import ModelReply
from core.errors import BudgetCrowded
from llm.providers import ProviderSettings, open_providers
from llm.router import OWN_ATTEMPTS
from store.llm_config import LLMChange
from store.pool import Pool
from tests.workflow.routed import ATTEMPTS, PATIENCE, PLATFORM, Routed, ask, code, open_routed

NEXT = "openai/well"


@pytest_asyncio.fixture
async def routed(pool: Pool) -> AsyncIterator[Routed]:
    async with open_routed(pool) as routed:
        yield routed


def settled(outcome: object) -> str:
    assert isinstance(outcome, ModelReply), outcome
    return outcome.answer.model


@pytest.mark.parametrize("fault", ["529", "500", "502", "503", "504", "408", "reset", "hangup"])
async def test_the_next_model_answers_after_the_own_attempts(routed: Routed, fault: str) -> None:
    router = routed.router(f"anthropic/fake-{fault}", NEXT)
    outcome = await routed.until_it_ends(router)
    assert settled(outcome) == NEXT
    assert routed.asked == [f"fake-{fault}"] * OWN_ATTEMPTS + ["well"]
    assert [row["model"] for row in await routed.rows("settled")] == [NEXT]
    assert await routed.ledger.off() == []


@pytest.mark.parametrize("fault", ["quota", "spend", "payment", "credit", "notfound"])
async def test_the_next_model_answers_at_once(routed: Routed, fault: str) -> None:
    router = routed.router(f"anthropic/fake-{fault}", NEXT)
    outcome = await routed.until_it_ends(router)
    assert settled(outcome) == NEXT
    assert routed.asked == [f"fake-{fault}", "well"]
    assert [row["attempt"] for row in await routed.rows("settled", "released")] == [1, 1]
    assert await routed.ledger.off() == []


@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        ("badrequest", "invalid_request"),
        ("toolong", "context_window"),
        ("toolarge", "request_too_large"),
        ("auth", "invalid_key"),
        ("permission", "permission"),
        ("redirect", "config"),
    ],
)
async def test_what_another_model_would_not_mend_ends_it(
    routed: Routed, fault: str, wrong: str
) -> None:
    router = routed.router(f"anthropic/fake-{fault}", NEXT)
    outcome = await routed.until_it_ends(router)
    assert code(outcome) == wrong
    assert routed.asked == [f"fake-{fault}"]
    assert await routed.rows("settled", "reserved") == []
    assert await routed.ledger.off() == []


@pytest.mark.parametrize(
    ("fault", "wrong"), [("429", "rate_limited"), ("409", "conflict"), ("html", "bad_response")]
)
async def test_a_model_that_only_wants_patience_is_not_left(
    routed: Routed, fault: str, wrong: str
) -> None:
    router = routed.router(f"anthropic/fake-{fault}", NEXT)
    outcome = await routed.until_it_ends(router)
    assert code(outcome) == wrong
    assert set(routed.asked) == {f"fake-{fault}"}
    assert await routed.ledger.off() == []


async def test_an_empty_budget_asks_nobody(routed: Routed) -> None:
    await routed.ledger.limit(10)
    outcome = await routed.until_it_ends(routed.router("anthropic/well", NEXT))
    assert code(outcome) == "budget_exceeded"
    assert routed.asked == []


async def test_a_crowded_budget_makes_no_other_model_answer(routed: Routed) -> None:
    """What is held by others is free again at the last attempt."""
    await routed.ledger.limit(1000)
    held = await routed.ledger.reserved(tokens=1000)
    router = routed.router("anthropic/well", NEXT)
    crowded = ["budget_crowded"] * (ATTEMPTS - 1)
    for attempt in range(1, ATTEMPTS):
        with pytest.raises(BudgetCrowded):
            await ask(router, attempt=attempt, failed_with=crowded[: attempt - 1])
    await routed.ledger.budgets.release(held.call)
    last = await ask(router, attempt=ATTEMPTS, failed_with=crowded)
    assert settled(last) == "anthropic/well"


@pytest.mark.parametrize("fault", ["quota", "notfound", "529"])
async def test_own_keys_never_fall_back_to_the_platforms(routed: Routed, fault: str) -> None:
    await routed.ledger.configs.change("acme", LLMChange(keys={"anthropic": "sk-ant-of-acme"}))
    outcome = await routed.until_it_ends(routed.router(f"anthropic/fake-{fault}", NEXT))
    assert code(outcome) in ("quota_exhausted", "model_not_found", "overloaded")
    assert set(routed.asked) == {f"fake-{fault}"}
    assert {row["key_source"] for row in await routed.rows("released")} == {"own"}


async def test_own_keys_fall_back_to_own_keys(routed: Routed) -> None:
    keys: dict[str, str | None] = {"anthropic": "sk-ant-of-acme", "openai": "sk-of-acme"}
    await routed.ledger.configs.change("acme", LLMChange(keys=keys))
    chain = ("anthropic/fake-quota", NEXT)
    assert settled(await routed.until_it_ends(routed.router(*chain))) == NEXT
    assert {row["key_source"] for row in await routed.rows("released", "settled")} == {"own"}
    assert len({each.key for each in routed.calls}) == 2

    routed.demo.requests.clear()
    theirs = await routed.until_it_ends(routed.router(*chain), workspace="globex", run="r2")
    assert settled(theirs) == NEXT
    assert {row["key_source"] for row in await routed.rows() if row["run_id"] == "r2"} == {
        "platform"
    }


async def test_an_own_key_that_does_not_open_is_never_replaced_by_the_platforms(
    routed: Routed,
) -> None:
    await routed.ledger.configs.change("acme", LLMChange(keys={"anthropic": "sk-ant-of-acme"}))
    await routed.ledger.pool.execute("UPDATE llm_keys SET value = '\\x00'::bytea || value")
    with pytest.raises(Exception) as caught:  # noqa: PT011
        await routed.until_it_ends(routed.router("anthropic/well", NEXT))
    assert PLATFORM["anthropic"] not in str(caught.value)
    assert routed.asked == []


async def test_an_address_where_nobody_is_holds_no_budget(routed: Routed) -> None:
    settings = ProviderSettings(base_urls={"anthropic": "http://127.0.0.1:9"}, patience=PATIENCE)
    async with open_providers(settings) as nobody:
        routed.providers.update(nobody)
        outcome = await routed.until_it_ends(routed.router("anthropic/well"))
    assert code(outcome) == "connection"
    assert len(await routed.rows("released")) == ATTEMPTS
    assert await routed.ledger.off() == []
