from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from core.budget import (
    AlreadyAnswered,
    CallId,
    Crowded,
    Exhausted,
    InFlight,
    Reserved,
    RunExhausted,
    TopUp,
)
from core.errors import Conflict, IdempotencyKeyReused
from core.run import TokenUsage
from core.tool import Actor
from store.pool import Pool, open_pool
from store.runs import NewRun, Runs
from store.sealing import CannotOpen
from tests.integration.ledger import KEYRING, NOON, Ledger, answers, ask, spent, until_blocked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NEXT_MONTH = NOON + timedelta(days=15)
SOMEBODY = Actor(kind="key", id="k1")


@pytest.fixture
async def ledger(pool: Pool) -> AsyncIterator[Ledger]:
    """Whatever a test does, the counters say what the ledger says."""
    ledger = await Ledger.of(pool)
    yield ledger
    assert await ledger.off() == []


def queued(run: str, workspace: str) -> NewRun:
    return NewRun(
        run_id=run,
        workspace_id=workspace,
        skill="hygiene",
        version="v1",
        trigger="manual",
        actor=SOMEBODY,
        lineage="r",
        created_at=NOON,
    )


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


class TestReserve:
    async def test_what_was_reserved_is_freed_and_what_was_used_is_counted(
        self, ledger: Ledger
    ) -> None:
        await ledger.limit(5000)
        got = await ledger.reserved(tokens=2000)
        assert got.tokens == 2000
        assert await ledger.month() == (0, 2000)
        await ledger.settle(got.call, 700)
        assert await ledger.month() == (700, 0)
        assert await ledger.month("globex") == (0, 0)

    async def test_what_does_not_fit_is_refused_and_nothing_changes(self, ledger: Ledger) -> None:
        await ledger.limit(1000)
        await ledger.called(400)
        refused = await ledger.budgets.reserve(ask(tokens=601, call_key="other"))
        reset = datetime(2026, 12, 1, tzinfo=UTC)
        assert refused == Exhausted(tokens_left=600, resets_at=reset)
        assert await ledger.month() == (400, 0)
        assert isinstance(await ledger.budgets.reserve(ask(tokens=600, call_key="other")), Reserved)

    async def test_without_a_limit_everything_fits_and_is_counted(self, ledger: Ledger) -> None:
        assert await ledger.called(10**12) == ()
        assert await ledger.month() == (10**12, 0)

    async def test_a_limit_of_nothing_is_not_no_limit(self, ledger: Ledger) -> None:
        await ledger.limit(0)
        assert isinstance(await ledger.budgets.reserve(ask(tokens=1)), Exhausted)
        await ledger.limit(None)
        assert isinstance(await ledger.budgets.reserve(ask(tokens=1)), Reserved)

    async def test_what_calls_under_way_hold_may_be_free_soon(self, ledger: Ledger) -> None:
        await ledger.limit(1000)
        got = await ledger.reserved(tokens=900)
        other = ask(tokens=500, call_key="other")
        assert await ledger.budgets.reserve(other) == Crowded(tokens_left=100)
        await ledger.settle(got.call, 300)
        assert isinstance(await ledger.budgets.reserve(other), Reserved)

    async def test_less_may_be_granted_than_was_asked(self, ledger: Ledger) -> None:
        await ledger.limit(1000)
        await ledger.called(400)
        got = await ledger.reserved(tokens=5000, least=600, call_key="other")
        assert got.tokens == 600
        assert await ledger.month() == (400, 600)

    async def test_one_workspace_does_not_use_what_is_anothers(self, ledger: Ledger) -> None:
        await ledger.limit(1000)
        await ledger.limit(1000, "globex")
        await ledger.called(1000)
        got = await ledger.reserved(workspace="globex", tokens=1000)
        stolen = CallId(workspace="acme", id=got.call.id)
        assert await ledger.settle(stolen, 1) == ()
        await ledger.budgets.release(stolen)
        assert await ledger.month("globex") == (0, 1000)
        await ledger.settle(got.call, 1000)
        assert (await ledger.spending.of_run("globex", "r1")).tokens.total == 1000

    async def test_another_workspace_is_not_given_the_answer(self, ledger: Ledger) -> None:
        await ledger.called(10)
        assert isinstance(await ledger.budgets.reserve(ask(workspace="globex")), Reserved)

    async def test_own_keys_are_recorded_and_not_limited(self, ledger: Ledger) -> None:
        await ledger.limit(100)
        await ledger.called(5000, key_source="own")
        await ledger.called(90, call_key="other")
        month = await ledger.spending.month("acme", "UTC", NOON)
        assert (month.used, month.remaining) == (90, 10)
        [skill] = month.skills
        assert (skill.calls, skill.tokens, skill.own_tokens) == (2, 5090, 5000)


class TestRunLimit:
    async def test_a_run_has_a_limit_of_its_own(self, ledger: Ledger) -> None:
        await ledger.called(800, run_limit=1000)
        other = ask(tokens=300, call_key="other", run_limit=1000)
        assert await ledger.budgets.reserve(other) == RunExhausted(tokens_left=200, limit=1000)
        assert isinstance(
            await ledger.budgets.reserve(other.model_copy(update={"run": "r2"})), Reserved
        )
        assert await ledger.month() == (800, 300)

    async def test_own_keys_are_limited_by_it_too(self, ledger: Ledger) -> None:
        got = await ledger.budgets.reserve(ask(key_source="own", tokens=11, run_limit=10))
        assert got == RunExhausted(tokens_left=10, limit=10)

    async def test_many_at_once_stay_below_it(self, ledger: Ledger) -> None:
        asked = [ask(call_key=f"c{n}", tokens=100, run_limit=500) for n in range(30)]
        got = await asyncio.gather(*map(ledger.budgets.reserve, asked))
        assert Counter(map(type, got)) == {Reserved: 5, Crowded: 25}

    async def test_least_holds_for_it_too(self, ledger: Ledger) -> None:
        got = await ledger.reserved(tokens=5000, least=10, run_limit=700)
        assert got.tokens == 700


class TestStoredAnswers:
    async def test_a_settled_answer_is_not_bought_again(self, ledger: Ledger) -> None:
        got = await ledger.reserved()
        await ledger.settle(got.call, 700, {"text": "marker-é", "calls": []})
        again = await ledger.budgets.reserve(ask(attempt=2))
        assert again == AlreadyAnswered(
            call=got.call,
            answer={"text": "marker-é", "calls": []},
            model="anthropic/large",
            usage=spent(700),
            cost_nano=5,
            key_source="platform",
        )
        assert await ledger.month() == (700, 0)

    async def test_also_not_by_a_retry_of_the_run_nor_by_another_model(
        self, ledger: Ledger
    ) -> None:
        await ledger.called(10)
        for changes in ({"run": "r2"}, {"model": "openai/other"}, {"attempt": 7, "run": "r3"}):
            got = await ledger.budgets.reserve(ask(**changes))
            assert isinstance(got, AlreadyAnswered)

    async def test_also_when_nothing_is_left(self, ledger: Ledger) -> None:
        await ledger.limit(10)
        await ledger.called(10)
        assert isinstance(await ledger.budgets.reserve(ask(attempt=2)), AlreadyAnswered)

    async def test_another_request_is_asked_anew_and_the_old_answer_stays(
        self, ledger: Ledger
    ) -> None:
        await ledger.called(10)
        got = await ledger.reserved(request_hash="h2")
        await ledger.settle(got.call, 20, "another")
        one = await ledger.budgets.reserve(ask(attempt=3))
        two = await ledger.budgets.reserve(ask(attempt=3, request_hash="h2"))
        assert answers([one, two]) == ["well", "another"]

    async def test_without_an_answer_the_tokens_are_spent_and_the_call_is_made_anew(
        self, ledger: Ledger
    ) -> None:
        got = await ledger.reserved()
        await ledger.spend(got.call, 40)
        again = await ledger.reserved()
        await ledger.settle(again.call, 50)
        assert await ledger.month() == (90, 0)
        assert answers([await ledger.budgets.reserve(ask())]) == ["well"]

    async def test_the_answer_is_not_readable_in_the_table(
        self, ledger: Ledger, pool: Pool
    ) -> None:
        got = await ledger.reserved()
        await ledger.settle(got.call, 10, "marker-4711")
        row = await pool.fetchrow("SELECT * FROM llm_calls")
        assert row is not None
        assert b"marker" not in row["answer"]

    async def test_a_moved_answer_does_not_open(self, ledger: Ledger, pool: Pool) -> None:
        one = await ledger.reserved()
        await ledger.settle(one.call, 10, "mine")
        two = await ledger.reserved(call_key="other")
        await ledger.settle(two.call, 10, "theirs")
        await pool.execute(
            "UPDATE llm_calls SET answer = (SELECT answer FROM llm_calls WHERE id = $1)",
            one.call.id,
        )
        with pytest.raises(CannotOpen):
            await ledger.budgets.reserve(ask(call_key="other"))


class TestTakeover:
    async def test_the_next_attempt_takes_over_what_a_dead_one_held(self, ledger: Ledger) -> None:
        await ledger.limit(1000)
        await ledger.reserved(tokens=1000)
        got = await ledger.reserved(tokens=1000, attempt=2)
        assert await ledger.month() == (0, 1000)
        await ledger.settle(got.call, 600)
        assert await ledger.month() == (600, 0)

    async def test_a_refused_takeover_loses_nothing(self, ledger: Ledger) -> None:
        await ledger.limit(1000)
        dead = await ledger.reserved(tokens=800)
        refused = await ledger.budgets.reserve(ask(tokens=1001, attempt=2))
        assert isinstance(refused, Exhausted)
        assert await ledger.month() == (0, 800)
        await ledger.settle(dead.call, 800)
        assert await ledger.month() == (800, 0)

    async def test_a_takeover_refused_by_the_run_loses_nothing(self, ledger: Ledger) -> None:
        await ledger.reserved(tokens=800)
        refused = await ledger.budgets.reserve(ask(tokens=900, attempt=2, run_limit=850))
        assert isinstance(refused, RunExhausted)
        assert await ledger.month() == (0, 800)

    async def test_a_takeover_across_months_frees_the_old_one(self, ledger: Ledger) -> None:
        await ledger.limit(1000)
        await ledger.reserved(tokens=800)
        got = await ledger.reserved(tokens=900, attempt=2, at=NEXT_MONTH)
        assert await ledger.month() == (0, 0)
        assert await ledger.month(at=NEXT_MONTH) == (0, 900)
        await ledger.settle(got.call, 500)
        assert await ledger.month(at=NEXT_MONTH) == (500, 0)

    async def test_a_takeover_across_months_that_is_refused_loses_nothing(
        self, ledger: Ledger
    ) -> None:
        await ledger.limit(1000)
        await ledger.reserved(tokens=800)
        refused = await ledger.budgets.reserve(ask(tokens=1001, attempt=2, at=NEXT_MONTH))
        assert isinstance(refused, Exhausted)
        assert await ledger.month() == (0, 800)
        assert await ledger.month(at=NEXT_MONTH) == (0, 0)

    async def test_a_call_is_charged_to_the_month_it_was_reserved_in(self, ledger: Ledger) -> None:
        got = await ledger.reserved(at=datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC))
        await ledger.settle(got.call, 300)
        assert await ledger.month() == (300, 0)
        assert await ledger.month(at=NEXT_MONTH) == (0, 0)

    async def test_a_dead_attempt_that_lives_is_counted_too(self, ledger: Ledger) -> None:
        await ledger.limit(5000)
        undead = await ledger.reserved(tokens=1000)
        got = await ledger.reserved(tokens=1000, attempt=2)
        await ledger.settle(undead.call, 400, "first")
        assert await ledger.month() == (400, 1000)
        await ledger.settle(got.call, 300, "second")
        assert await ledger.month() == (700, 0)
        assert answers([await ledger.budgets.reserve(ask(attempt=3))]) == ["first"]

    async def test_a_dead_attempt_without_an_answer_is_left_to_its_successor(
        self, ledger: Ledger
    ) -> None:
        dead = await ledger.reserved(tokens=1000)
        got = await ledger.reserved(tokens=800, attempt=2)
        await ledger.spend(dead.call, 1000)
        assert await ledger.month() == (0, 800)
        await ledger.settle(got.call, 300)
        assert await ledger.month() == (300, 0)

    async def test_all_dead_attempts_are_taken_over_at_once(self, ledger: Ledger) -> None:
        await ledger.reserved(model="anthropic/large", tokens=100)
        await ledger.reserved(model="openai/other", tokens=200)
        assert await ledger.month() == (0, 300)
        await ledger.reserved(attempt=2, tokens=50)
        assert await ledger.month() == (0, 50)

    async def test_other_runs_of_the_chain_keep_what_they_hold(self, ledger: Ledger) -> None:
        await ledger.reserved(tokens=100)
        await ledger.reserved(tokens=100, run="r2", attempt=2)
        assert await ledger.month() == (0, 200)

    @pytest.mark.parametrize(
        ("first", "then", "held"), [("platform", "own", 0), ("own", "platform", 70)]
    )
    async def test_a_key_may_change_between_attempts(
        self, ledger: Ledger, first: str, then: str, held: int
    ) -> None:
        await ledger.reserved(tokens=100, key_source=first)
        await ledger.reserved(tokens=70, key_source=then, attempt=2)
        assert await ledger.month() == (0, held)


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
