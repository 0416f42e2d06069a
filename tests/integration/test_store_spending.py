from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from core.budget import (
    Exhausted,
    Reserved,
    TopUp,
)
from core.errors import Conflict, IdempotencyKeyReused
from core.run import TokenUsage
from store.pool import Pool
from store.runs import Runs
from tests.integration.ledger import (
    KEYRING,
    NEXT_MONTH,
    NOON,
    SOMEBODY,
    Ledger,
    ask,
    queued,
)

if TYPE_CHECKING:
    pass


def top_up(tokens: int, **changes: Any) -> TopUp:
    return TopUp(
        **{
            "workspace": "acme",
            "timezone": "UTC",
            "tokens": tokens,
            "by": SOMEBODY,
            "at": NOON,
            **changes,
        }
    )


class TestMonths:
    @pytest.mark.parametrize(
        ("timezone", "month", "resets_at"),
        [
            ("UTC", "2026-10", datetime(2026, 11, 1, 0, tzinfo=UTC)),
            ("America/Los_Angeles", "2026-10", datetime(2026, 11, 1, 7, tzinfo=UTC)),
            ("Asia/Kolkata", "2026-11", datetime(2026, 11, 30, 18, 30, tzinfo=UTC)),
            ("Pacific/Kiritimati", "2026-11", datetime(2026, 11, 30, 10, tzinfo=UTC)),
        ],
    )
    async def test_a_month_ends_where_the_workspace_is(
        self, ledger: Ledger, timezone: str, month: str, resets_at: datetime
    ) -> None:
        late = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
        await ledger.limit(100)
        await ledger.called(100, timezone=timezone, at=late)
        usage = await ledger.spending.month("acme", timezone, late)
        assert (usage.month.name, usage.month.resets_at, usage.used) == (month, resets_at, 100)
        other = ask(call_key="other", tokens=100, timezone=timezone)
        before = other.model_copy(update={"at": resets_at - timedelta(microseconds=1)})
        assert await ledger.budgets.reserve(before) == Exhausted(tokens_left=0, resets_at=resets_at)
        after = other.model_copy(update={"at": resets_at})
        assert isinstance(await ledger.budgets.reserve(after), Reserved)


class TestAlerts:
    async def test_each_is_told_once_a_month_whatever_becomes_of_the_limit(
        self, ledger: Ledger
    ) -> None:
        await ledger.limit(1000)
        told = [
            await ledger.called(tokens, call_key=f"c{n}") for n, tokens in enumerate((740, 9, 1))
        ]
        assert told == [(), (), (75,)]
        assert await ledger.called(250, call_key="rest") == (90, 100)
        await ledger.spending.top_up(top_up(1000))
        assert await ledger.called(900, call_key="more") == ()
        assert await ledger.called(800, call_key="next", at=NEXT_MONTH) == (75,)

    async def test_without_a_limit_there_are_none(self, ledger: Ledger) -> None:
        assert await ledger.called(10**9) == ()

    async def test_own_keys_cause_none(self, ledger: Ledger) -> None:
        await ledger.limit(100)
        assert await ledger.called(100, key_source="own") == ()


class TestTopUp:
    async def test_more_tokens_hold_for_this_month(self, ledger: Ledger) -> None:
        await ledger.limit(1000)
        await ledger.called(1000)
        await ledger.spending.top_up(top_up(500))
        month = await ledger.spending.month("acme", "UTC", NOON)
        assert (month.budget, month.topped_up, month.remaining) == (1500, 500, 500)
        assert await ledger.called(500, call_key="other") == ()
        following = await ledger.spending.month("acme", "UTC", NEXT_MONTH)
        assert (following.budget, following.remaining) == (1000, 1000)

    async def test_a_top_up_may_come_before_the_first_call(self, ledger: Ledger) -> None:
        await ledger.limit(0)
        await ledger.spending.top_up(top_up(500))
        assert isinstance(await ledger.budgets.reserve(ask(tokens=500)), Reserved)

    async def test_the_same_request_adds_once(self, ledger: Ledger) -> None:
        await ledger.limit(0)
        same = top_up(500, once=b"key", request=b"500")
        await asyncio.gather(*(ledger.spending.top_up(same) for _ in range(10)))
        assert (await ledger.spending.month("acme", "UTC", NOON)).budget == 500
        with pytest.raises(IdempotencyKeyReused):
            await ledger.spending.top_up(top_up(600, once=b"key", request=b"600"))
        await ledger.limit(0, "globex")
        await ledger.spending.top_up(same.model_copy(update={"workspace": "globex"}))
        assert (await ledger.spending.month("globex", "UTC", NOON)).budget == 500

    async def test_without_a_limit_there_is_nothing_to_top_up(self, ledger: Ledger) -> None:
        with pytest.raises(Conflict, match="token_budget"):
            await ledger.spending.top_up(top_up(500))
        with pytest.raises(Conflict):
            await ledger.spending.top_up(top_up(500, once=b"key", request=b"500"))


class TestUsage:
    async def test_skills_are_told_apart(self, ledger: Ledger) -> None:
        await ledger.called(100)
        await ledger.called(50, skill="digest", call_key="a")
        got = await ledger.reserved(skill="digest", call_key="b")
        await ledger.settle(got.call, 7, cost_nano=None)
        got = await ledger.reserved(skill="free", call_key="c")
        await ledger.settle(got.call, 3, cost_nano=None)
        skills = (await ledger.spending.month("acme", "UTC", NOON)).skills
        assert [
            (one.skill, one.calls, one.tokens, one.cost_nano, one.unpriced_calls) for one in skills
        ] == [("digest", 2, 57, 5, 1), ("free", 1, 3, None, 1), ("hygiene", 1, 100, 5, 0)]
        assert (await ledger.spending.month("globex", "UTC", NOON)).skills == ()

    async def test_a_run_knows_what_it_used(self, ledger: Ledger) -> None:
        await ledger.called(100)
        await ledger.called(60, call_key="other", attempt=2)
        usage = await ledger.spending.of_run("acme", "r1")
        assert (usage.tokens.input, usage.tokens.output, usage.tokens.total) == (120, 40, 160)
        assert (usage.calls, usage.cost_nano) == (2, 10)
        assert (await ledger.spending.of_run("globex", "r1")).calls == 0

    async def test_a_run_is_shown_with_what_it_used(self, ledger: Ledger, pool: Pool) -> None:
        runs = Runs(pool, KEYRING)
        for workspace in ("acme", "globex"):
            await runs.queue(queued(f"r-{workspace}", workspace))
        await ledger.called(100, run="r-acme")
        [listed] = (await runs.list_page("acme")).items
        found = await runs.find("r-acme", "acme")
        assert found is not None
        for run in (listed, found):
            assert run.token_usage == TokenUsage(input=75, output=25, total=100)
            assert run.cost == 5 / 1_000_000_000
        [other] = (await runs.list_page("globex")).items
        assert (other.token_usage, other.cost) == (TokenUsage(), None)
