"""A call that fails for good holds no budget: what it may have cost is counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from core.errors import ConnectionFailed, ModelError, Overloaded
from store.pool import Pool
from tests.workflow.routed import ATTEMPTS, Routed, open_routed


@pytest_asyncio.fixture
async def routed(pool: Pool) -> AsyncIterator[Routed]:
    async with open_routed(pool) as routed:
        yield routed


@pytest.mark.parametrize("fault", ["reset", "hangup", "500", "html"])
async def test_what_a_call_that_failed_for_good_may_have_cost_is_counted_at_once(
    routed: Routed, fault: str
) -> None:
    router = routed.router(f"anthropic/fake-{fault}")
    outcome = await routed.until_it_ends(router)
    assert isinstance(outcome, ModelError)
    [row] = await routed.rows("spent")
    assert row["attempt"] == ATTEMPTS
    assert row["input"] + row["output"] == row["reserved"] > 0
    assert (row["estimated"], row["cost_nano"]) == (True, None)
    assert await routed.rows("reserved", "settled") == []
    assert await routed.ledger.month(at=datetime.now(UTC)) == (row["reserved"], 0)
    assert await routed.ledger.off() == []


@pytest.mark.parametrize(
    ("fault", "error"), [("midreset", ConnectionFailed), ("midstream-error", Overloaded)]
)
async def test_a_stream_that_broke_for_good_is_counted_as_far_as_it_came(
    routed: Routed, fault: str, error: type[ModelError]
) -> None:
    """Also where the error is one that would say, before a stream, that nothing was processed."""
    outcome = await routed.until_it_ends(routed.router(f"anthropic/fake-{fault}"))
    assert isinstance(outcome, error)
    [row] = await routed.rows("spent")
    counted = row["input"] + row["output"]
    assert (row["attempt"], row["estimated"]) == (ATTEMPTS, True)
    assert 0 < counted < row["reserved"]
    assert await routed.ledger.month(at=datetime.now(UTC)) == (counted, 0)
    assert await routed.ledger.off() == []


async def test_what_was_surely_not_processed_costs_nothing_at_the_end_either(
    routed: Routed,
) -> None:
    await routed.until_it_ends(routed.router("anthropic/fake-429"))
    assert await routed.rows("spent", "reserved") == []
    assert await routed.ledger.month(at=datetime.now(UTC)) == (0, 0)
