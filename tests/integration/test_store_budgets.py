from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from core.budget import (
    AlreadyAnswered,
    CallId,
    Crowded,
    Exhausted,
    Reserved,
    RunExhausted,
)
from store.pool import Pool
from store.sealing import CannotOpen
from tests.integration.ledger import (
    NEXT_MONTH,
    NOON,
    Ledger,
    answers,
    ask,
    spent,
)

if TYPE_CHECKING:
    pass


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
