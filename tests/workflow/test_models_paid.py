"""An answer that was paid for is used again for the same question, and for no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from core.effects import ModelReply
from store.pool import Pool
from tests.workflow.routed import Routed, ask, open_routed

ASKED: dict[str, Any] = {"prompt": "How many?", "model": "anthropic/one"}


@pytest_asyncio.fixture
async def routed(pool: Pool) -> AsyncIterator[Routed]:
    async with open_routed(pool) as routed:
        yield routed


async def answered(routed: Routed, **asked: Any) -> ModelReply:
    return await ask(routed.router("anthropic/one"), **{**ASKED, **asked})


async def test_a_retry_of_the_lineage_is_given_the_stored_answer(routed: Routed) -> None:
    first = await answered(routed)
    again = await answered(routed, run="r2")
    assert (first.stored, again.stored) == (False, True)
    assert again.answer == first.answer
    assert len(routed.asked) == 1
    assert [row["run_id"] for row in await routed.rows()] == ["r1"]
    assert await routed.ledger.off() == []


async def test_an_attempt_whose_worker_died_after_it_was_paid_is_given_the_answer(
    routed: Routed,
) -> None:
    first = await answered(routed)
    assert (await answered(routed, attempt=2)).answer == first.answer
    assert len(routed.asked) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "How few?"},
        {"model": "anthropic/two"},
        {"model": "openai/one"},
        {"max_tokens": 200},
        {"path": "other"},
        {"lineage": "r2"},
        {"workspace": "globex"},
    ],
    ids=lambda other: next(iter(other)) + "=" + str(next(iter(other.values()))),
)
async def test_any_other_question_is_paid_again(routed: Routed, other: dict[str, Any]) -> None:
    await answered(routed)
    again = await answered(routed, run="r2", **other)
    assert not again.stored
    assert len(routed.asked) == len(await routed.rows()) == 2
    assert again.answer.model == other.get("model", ASKED["model"])
    assert await routed.ledger.off() == []


async def test_another_first_choice_of_the_workspace_is_another_question(routed: Routed) -> None:
    await ask(routed.router("anthropic/one", "openai/last"))
    again = await ask(routed.router("anthropic/two", "openai/last"), run="r2")
    assert not again.stored
    assert routed.asked == ["one", "two"]


async def test_what_the_second_choice_answered_serves_again(routed: Routed) -> None:
    """It was asked since the first could not, which may have come to itself meanwhile."""
    chain = ("anthropic/fake-quota-1", "openai/last")
    first = await ask(routed.router(*chain))
    again = await ask(routed.router(*chain), run="r2")
    assert again.stored
    assert again.answer == first.answer
    assert routed.asked == ["fake-quota-1", "last"]
