from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from core.budget import (
    Crowded,
    Exhausted,
    InFlight,
    Reserved,
)
from store.pool import Pool, open_pool
from store.runs import Runs
from tests.integration.ledger import (
    KEYRING,
    NOON,
    Ledger,
    answers,
    ask,
    queued,
    until_blocked,
)

if TYPE_CHECKING:
    pass


class TestOnce:
    async def test_the_same_attempt_many_times_at_once_is_reserved_once(
        self, ledger: Ledger
    ) -> None:
        got = await asyncio.gather(*(ledger.budgets.reserve(ask()) for _ in range(20)))
        assert Counter(map(type, got)) == {Reserved: 1, InFlight: 19}
        assert await ledger.month() == (0, 1000)

    async def test_a_call_settled_many_times_at_once_is_counted_once(self, ledger: Ledger) -> None:
        await ledger.limit(1000)
        got = await ledger.reserved()
        told = await asyncio.gather(*(ledger.settle(got.call, 800) for _ in range(20)))
        assert sorted(told) == [()] * 19 + [(75,)]
        assert await ledger.month() == (800, 0)

    async def test_settling_and_releasing_at_once_leave_one_truth(self, ledger: Ledger) -> None:
        calls = [(await ledger.reserved(call_key=f"c{n}", tokens=10)).call for n in range(10)]
        await asyncio.gather(
            *(ledger.settle(call, 10) for call in calls),
            *(ledger.budgets.release(call) for call in calls),
        )
        assert await ledger.month() == (100, 0)

    async def test_many_attempts_at_once_hold_one_reservation(self, ledger: Ledger) -> None:
        """A takeover waits for the one before it, and finds what that one left."""
        await ledger.limit(1000)
        asked = [ask(attempt=attempt, tokens=1000) for attempt in range(1, 11)]
        got = await asyncio.gather(*map(ledger.budgets.reserve, asked))
        assert any(isinstance(one, Reserved) for one in got)
        assert await ledger.month() == (0, 1000)

    async def test_attempts_that_settle_while_others_take_over_are_all_counted(
        self, ledger: Ledger
    ) -> None:
        first = [(await ledger.reserved(call_key=f"c{n}", tokens=100)).call for n in range(15)]
        again = [ask(call_key=f"c{n}", tokens=100, attempt=2) for n in range(15)]
        outcomes = await asyncio.gather(
            *map(ledger.budgets.reserve, again), *(ledger.settle(call, 60) for call in first)
        )
        new = [got.call for got in outcomes if isinstance(got, Reserved)]
        assert len(new) + len(answers(outcomes[:15])) == 15
        for call in new:
            await ledger.settle(call, 60)
        assert await ledger.month() == ((15 + len(new)) * 60, 0)

    async def test_an_attempt_settled_while_its_successor_looks_is_found(
        self, ledger: Ledger, pool: Pool
    ) -> None:
        dead = await ledger.reserved()
        async with pool.transaction() as settling:
            undead = Ledger(cast("Any", settling))
            await undead.settle(dead.call, 300, "at the last moment")
            looking = asyncio.create_task(ledger.budgets.reserve(ask(attempt=2)))
            await until_blocked(pool, looking)
        assert answers([await looking]) == ["at the last moment"]
        assert await ledger.month() == (300, 0)

    async def test_an_attempt_made_again_before_it_is_noted_is_under_way(
        self, ledger: Ledger, pool: Pool
    ) -> None:
        await ledger.called(100, call_key="before")
        async with pool.transaction() as reserving:
            first = await Ledger(cast("Any", reserving)).reserved()
            again = asyncio.create_task(ledger.budgets.reserve(ask()))
            await until_blocked(pool, again)
        assert await again == InFlight()
        await ledger.settle(first.call, 200)
        assert await ledger.month() == (300, 0)

    async def test_a_call_settled_again_before_it_is_settled_is_counted_once(
        self, ledger: Ledger, pool: Pool
    ) -> None:
        got = await ledger.reserved()
        async with pool.transaction() as settling:
            await Ledger(cast("Any", settling)).settle(got.call, 300)
            again = asyncio.create_task(ledger.settle(got.call, 300))
            await until_blocked(pool, again)
        await again
        assert await ledger.month() == (300, 0)

    async def test_four_hundred_at_once_spend_what_a_hundred_may(
        self, ledger: Ledger, database: str
    ) -> None:
        await ledger.limit(100_000)
        await ledger.limit(50_000, "globex")
        async with await open_pool(database, max_size=20) as pool:
            crowd = Ledger(pool)

            async def call(workspace: str, n: int) -> tuple[str, tuple[int, ...] | None]:
                asked = ask(
                    workspace=workspace, run=f"{workspace}{n % 7}", call_key=f"c{n}", tokens=1000
                )
                got = await crowd.budgets.reserve(asked)
                if not isinstance(got, Reserved):
                    assert isinstance(got, Exhausted | Crowded)
                    return workspace, None
                return workspace, await crowd.settle(got.call, 1000)

            done = await asyncio.gather(
                *(call("acme", n) for n in range(400)), *(call("globex", n) for n in range(100))
            )
        admitted = Counter(workspace for workspace, told in done if told is not None)
        assert admitted == {"acme": 100, "globex": 50}
        for workspace, limit in (("acme", 100_000), ("globex", 50_000)):
            assert await ledger.month(workspace) == (limit, 0)
            told = [alert for place, alerts in done if place == workspace for alert in alerts or ()]
            assert sorted(told) == [75, 90, 100]


class TestRelease:
    async def test_what_was_not_processed_is_free_again(self, ledger: Ledger) -> None:
        await ledger.limit(1000)
        got = await ledger.reserved()
        await ledger.budgets.release(got.call)
        assert await ledger.month() == (0, 0)
        assert isinstance(await ledger.budgets.reserve(ask()), Reserved)

    async def test_what_was_used_after_all_is_counted(self, ledger: Ledger) -> None:
        got = await ledger.reserved()
        await ledger.budgets.release(got.call)
        await ledger.settle(got.call, 30)
        assert await ledger.month() == (30, 0)

    async def test_what_was_settled_stays(self, ledger: Ledger) -> None:
        got = await ledger.reserved()
        await ledger.settle(got.call, 30)
        await ledger.budgets.release(got.call)
        assert await ledger.month() == (30, 0)


class TestReap:
    async def test_dead_reservations_count_as_spent(self, ledger: Ledger, pool: Pool) -> None:
        await ledger.limit(1000)
        await ledger.reserved(tokens=950)
        await ledger.reserved(workspace="globex", tokens=20)
        await ledger.reserved(call_key="young", tokens=30, at=NOON + timedelta(hours=1))
        assert await ledger.budgets.reap(NOON + timedelta(minutes=30)) == 2
        assert await ledger.month() == (950, 30)
        assert await ledger.month("globex") == (20, 0)
        assert await pool.fetchval("SELECT estimated FROM llm_calls WHERE reserved = 950")
        assert [row["key"] for row in await pool.fetch("SELECT key FROM notices ORDER BY key")] == [
            "budget 2026-11-01 75",
            "budget 2026-11-01 90",
        ]
        assert await ledger.budgets.reap(NOON + timedelta(minutes=30)) == 0

    async def test_what_a_run_left_that_ended_counts_soon(self, ledger: Ledger, pool: Pool) -> None:
        runs, now = Runs(pool, KEYRING), datetime.now(UTC)
        for run in ("ended", "ends", "goes-on"):
            await runs.queue(queued(run, "acme"))
            await ledger.reserved(run=run, call_key=run, tokens=100)
        await ledger.reserved(workspace="globex", run="ended", tokens=100)
        await runs.settle("ended", "cancelled", now - timedelta(minutes=2))
        await runs.settle("ends", "cancelled", now)
        assert await ledger.budgets.reap(NOON - timedelta(hours=1)) == 1
        assert await ledger.month() == (100, 200)
        assert await ledger.month("globex") == (0, 100)

    async def test_one_that_was_only_late_is_corrected(self, ledger: Ledger) -> None:
        got = await ledger.reserved(tokens=950)
        await ledger.budgets.reap(NOON + timedelta(hours=1))
        await ledger.settle(got.call, 200)
        assert await ledger.month() == (200, 0)
        usage = await ledger.spending.of_run("acme", "r1")
        assert (usage.calls, usage.unpriced_calls, usage.cost_nano) == (1, 0, 5)
        assert answers([await ledger.budgets.reserve(ask(attempt=2))]) == ["well"]

    async def test_one_that_was_not_processed_after_all_is_taken_back(self, ledger: Ledger) -> None:
        got = await ledger.reserved()
        await ledger.budgets.reap(NOON + timedelta(hours=1))
        await ledger.budgets.release(got.call)
        assert await ledger.month() == (0, 0)
        assert (await ledger.spending.of_run("acme", "r1")).calls == 0

    async def test_the_same_attempt_may_be_made_again_after_it(self, ledger: Ledger) -> None:
        got = await ledger.reserved(tokens=100)
        await ledger.budgets.reap(NOON + timedelta(hours=1))
        again = await ledger.reserved(tokens=100)
        await ledger.settle(got.call, 10)
        await ledger.settle(again.call, 20)
        assert await ledger.month() == (30, 0)
