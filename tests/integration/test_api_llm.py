from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from temporalio import workflow

from core.budget import Exhausted, Reserved
from core.effects import WAKE
from core.errors import Invalid, Unavailable
from core.llm import ModelName
from services.llm import ModelOffer
from store.budgets import Budgets
from store.sealing import Keyring
from tests.gateway import Caller, Site
from tests.integration.ledger import ask, spent
from tests.kernel import KEYS, eventually

if TYPE_CHECKING:
    from core.budget import Reservation

KEY = "sk-marker-0123456789"
NOTHING = {
    "tokens_used": 0,
    "tokens_reserved": 0,
    "token_budget": None,
    "topped_up": 0,
    "tokens_remaining": None,
    "own_tokens": 0,
    "alerts": [],
    "by_skill": [],
}


async def configure(caller: Caller, **body: Any) -> dict[str, Any]:
    answer = await caller.http.post(f"{caller.home}/llm/config", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def usage(caller: Caller) -> dict[str, Any]:
    answer = await caller.http.get(f"{caller.home}/llm/usage")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def top_up(caller: Caller, tokens: Any, key: str | None = None) -> Any:
    return await caller.http.post(
        f"{caller.home}/llm/usage",
        json={"action": "top_up", "tokens": tokens},
        headers={"Idempotency-Key": key} if key else {},
    )


async def reserve(site: Site, caller: Caller, **changes: Any) -> Reservation:
    budgets = Budgets(site.kernel.pool, Keyring(KEYS))
    return await budgets.reserve(ask(workspace=caller.workspace, at=datetime.now(UTC), **changes))


async def called(site: Site, caller: Caller, tokens: int, **changes: Any) -> None:
    got = await reserve(site, caller, tokens=tokens, **changes)
    assert isinstance(got, Reserved)
    await Budgets(site.kernel.pool, Keyring(KEYS)).settle(
        got.call,
        spent(tokens),
        cost_nano=tokens * 2000,
        price_version="v",
        latency_ms=1,
        answer="x",
    )


def connected(config: dict[str, Any]) -> list[str]:
    return [one["provider"] for one in config["providers"] if one["connected"]]


class TestConfig:
    async def test_a_workspace_begins_with_platform_keys_and_no_limit(self, owner: Caller) -> None:
        answer = await owner.http.get(f"{owner.home}/llm/config")
        assert answer.json() == {
            "providers": [
                {"provider": "anthropic", "connected": False},
                {"provider": "fireworks", "connected": False},
                {"provider": "openai", "connected": False},
            ],
            "routing": {},
            "overridden": [],
            "token_budget": None,
            "run_max_tokens": None,
        }

    async def test_what_is_set_is_told_and_what_is_left_out_stays(
        self, site: Site, owner: Caller
    ) -> None:
        await configure(owner, tokenBudget=5000, routing={"reason": "openai/gpt-5.6"})
        told = await configure(
            owner, run_max_tokens=10, routing={"extract": ["fireworks/a", "openai/b"]}
        )
        assert told == (await owner.http.get(f"{owner.home}/llm/config")).json()
        assert told["routing"] == {
            "extract": ["fireworks/a", "openai/b"],
            "reason": ["openai/gpt-5.6"],
        }
        assert (told["token_budget"], told["run_max_tokens"]) == (5000, 10)
        other = await site.with_scopes(workspace=await site.new_workspace())
        assert (await configure(other))["token_budget"] is None

    async def test_null_takes_back(self, owner: Caller) -> None:
        await configure(
            owner,
            token_budget=0,
            run_max_tokens=10,
            routing={"reason": "openai/x"},
            providers={"openai": {"api_key": KEY}},
        )
        told = await configure(
            owner,
            token_budget=None,
            run_max_tokens=None,
            routing={"reason": None},
            providers={"openai": None},
        )
        assert (told["token_budget"], told["run_max_tokens"]) == (None, None)
        assert (told["routing"], connected(told)) == ({}, [])

    async def test_a_key_goes_in_and_never_comes_out(self, owner: Caller) -> None:
        bodies = [{"openai": {"apiKey": KEY}}, {"anthropic": KEY}]
        told = [await configure(owner, providers=body) for body in bodies]
        told.append((await owner.http.get(f"{owner.home}/llm/config")).json())
        assert "marker" not in str(told)
        assert connected(told[-1]) == ["anthropic", "openai"]

    async def test_routes_of_the_installation_show_until_the_workspace_chooses(
        self, site: Site, owner: Caller
    ) -> None:
        offered = ModelOffer(routing={"reason": (ModelName("anthropic/large"),)})
        with_offer(site, offered)
        assert (await configure(owner))["routing"] == {"reason": ["anthropic/large"]}
        told = await configure(owner, routing={"reason": "openai/other"})
        assert told["routing"] == {"reason": ["openai/other"]}
        assert told["overridden"] == ["reason"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (
                {"providers": {"openai": {"api_key": "sk marker with spaces"}}},
                "providers.openai.api_key",
            ),
            ({"providers": {"openai": {"api_key": "marker\n"}}}, "providers.openai.api_key"),
            ({"providers": {"openai": {"api_key": "short"}}}, "providers.openai.api_key"),
            ({"providers": {"openai": {"api_key": ["marker"]}}}, "providers.openai.api_key"),
            ({"providers": {"openai": {"api_key": "marker" * 100}}}, "providers.openai.api_key"),
            ({"providers": {"openia": {"api_key": KEY}}}, "providers.openia"),
            ({"routing": {"reason": "openia/x"}}, "routing.reason"),
            ({"token_budget": -1}, "token_budget"),
            ({"token_budget": "many"}, "token_budget"),
            ({"run_max_tokens": 0}, "run_max_tokens"),
            ({"token_bugdet": 1}, "token_bugdet"),
        ],
    )
    async def test_a_bad_field_is_named_and_nothing_is_stored(
        self, owner: Caller, body: dict[str, Any], field: str
    ) -> None:
        good = {"run_max_tokens": 77} if "run_max_tokens" not in body else {}
        answer = await owner.http.post(f"{owner.home}/llm/config", json={**good, **body})
        assert answer.status_code == 422, answer.text
        assert [fault["field"] for fault in answer.json()["errors"]] == [field]
        assert "marker" not in answer.text
        assert (await configure(owner))["run_max_tokens"] is None

    @pytest.mark.parametrize(
        "routing",
        [{"reason": "gpt"}, {"reason": []}, {"reason": ["a b/c"]}, {"raeson": "openai/x"}],
    )
    async def test_a_bad_route_is_refused(self, owner: Caller, routing: dict[str, Any]) -> None:
        answer = await owner.http.post(f"{owner.home}/llm/config", json={"routing": routing})
        assert answer.status_code == 422
        [fault] = answer.json()["errors"]
        assert fault["field"].startswith("routing")
        assert "expected" in fault["message"]

    async def test_a_provider_has_a_nearest_right_name(self, owner: Caller) -> None:
        body = {"routing": {"reason": "antropic/x"}}
        answer = await owner.http.post(f"{owner.home}/llm/config", json=body)
        assert "did you mean `anthropic`" in answer.json()["errors"][0]["message"]

    async def test_reading_and_managing_are_two_scopes(self, site: Site) -> None:
        reader = await site.with_scopes("read", "run", "approve")
        assert (await reader.http.get(f"{reader.home}/llm/config")).status_code == 200
        assert (await reader.http.post(f"{reader.home}/llm/config", json={})).status_code == 403
        assert (await top_up(reader, 5)).status_code == 403


class Checked:
    """A provider that takes one key and says what it was shown."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.seen: list[tuple[str, str]] = []

    async def check(self, provider: str, key: str) -> None:
        self.seen.append((provider, key))
        if self.failure:
            raise self.failure


def with_offer(site: Site, offer: ModelOffer) -> None:
    site.gateway.llm._offer = offer  # pyright: ignore[reportPrivateUsage]


class TestKeyCheck:
    async def test_a_key_is_tried_before_it_is_stored(self, site: Site, owner: Caller) -> None:
        checked = Checked()
        with_offer(site, ModelOffer(check=checked))
        told = await configure(owner, providers={"openai": {"api_key": KEY}, "anthropic": None})
        assert checked.seen == [("openai", KEY)]
        assert connected(told) == ["openai"]

    async def test_a_key_that_is_not_taken_is_not_stored_nor_repeated(
        self, site: Site, owner: Caller
    ) -> None:
        with_offer(site, ModelOffer(check=Checked(Invalid(f"{KEY} is wrong"))))
        body = {"providers": {"openai": KEY}, "token_budget": 5}
        answer = await owner.http.post(f"{owner.home}/llm/config", json=body)
        assert answer.status_code == 422
        [fault] = answer.json()["errors"]
        assert fault["field"] == "providers.openai.api_key"
        assert "openai does not take this key" in fault["message"]
        assert KEY not in answer.text
        with_offer(site, ModelOffer())
        told = await configure(owner)
        assert (connected(told), told["token_budget"]) == ([], None)

    async def test_a_provider_that_is_away_is_no_verdict(self, site: Site, owner: Caller) -> None:
        with_offer(site, ModelOffer(check=Checked(Unavailable("openai does not answer"))))
        body = {"providers": {"openai": KEY}}
        answer = await owner.http.post(f"{owner.home}/llm/config", json=body)
        assert answer.status_code == 503


class TestUsage:
    async def test_without_calls_nothing_is_used(self, owner: Caller) -> None:
        told = await usage(owner)
        assert {**told, **NOTHING} == told
        assert told["period"] == f"{datetime.now(UTC):%Y-%m}"
        assert datetime.fromisoformat(told["resets_at"]) > datetime.now(UTC)

    async def test_calls_are_counted_by_skill(self, site: Site, owner: Caller) -> None:
        await configure(owner, token_budget=1000)
        await called(site, owner, 300)
        await called(site, owner, 50, call_key="b", skill="digest")
        await called(site, owner, 70, call_key="c", skill="digest", key_source="own")
        await reserve(site, owner, tokens=100, call_key="d")
        told = await usage(owner)
        assert (told["tokens_used"], told["tokens_reserved"], told["own_tokens"]) == (350, 100, 70)
        assert (told["token_budget"], told["tokens_remaining"]) == (1000, 550)
        assert told["by_skill"] == [
            {
                "skill_id": "digest",
                "calls": 2,
                "tokens": 120,
                "own_tokens": 70,
                "cost": 0.00024,
                "unpriced_calls": 0,
            },
            {
                "skill_id": "hygiene",
                "calls": 1,
                "tokens": 300,
                "own_tokens": 0,
                "cost": 0.0006,
                "unpriced_calls": 0,
            },
        ]
        other = await site.with_scopes(workspace=await site.new_workspace())
        assert (await usage(other))["by_skill"] == []

    async def test_what_was_reached_of_the_budget_is_told_of_this_month_alone(
        self, site: Site, owner: Caller
    ) -> None:
        await configure(owner, token_budget=1000)
        await called(site, owner, 950)
        past = "UPDATE notices SET key = 'past', data = data || '{\"period\": \"2020-01\"}'"
        await site.kernel.pool.execute(f"{past} WHERE data ->> 'percent' = '75'")
        [alert] = (await usage(owner))["alerts"]
        assert alert["percent"] == 90
        assert datetime.fromisoformat(alert["at"]) <= datetime.now(UTC)
        assert (await top_up(owner, 9000)).json()["alerts"] == [alert]
        other = await site.with_scopes(workspace=await site.new_workspace())
        assert (await usage(other))["alerts"] == []

    async def test_a_month_is_one_where_the_workspace_is(self, site: Site, owner: Caller) -> None:
        await owner.http.patch(owner.home, json={"timezone": "Asia/Kolkata"})
        resets = datetime.fromisoformat((await usage(owner))["resets_at"])
        assert (resets.hour, resets.minute) == (18, 30)


class TestTopUp:
    async def test_it_adds_to_this_month(self, site: Site, owner: Caller) -> None:
        await configure(owner, token_budget=100)
        await called(site, owner, 100)
        answer = await top_up(owner, 50)
        assert answer.status_code == 200
        told = answer.json()
        assert (told["token_budget"], told["topped_up"], told["tokens_remaining"]) == (150, 50, 50)
        assert (await configure(owner))["token_budget"] == 100

    async def test_the_same_request_adds_once(self, owner: Caller) -> None:
        await configure(owner, token_budget=0)
        answers = await asyncio.gather(*(top_up(owner, 50, "once") for _ in range(4)))
        assert [answer.json()["topped_up"] for answer in answers] == [50] * 4
        reused = await top_up(owner, 60, "once")
        assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")

    async def test_without_a_limit_there_is_nothing_to_top_up(self, owner: Caller) -> None:
        answer = await top_up(owner, 50)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")

    @pytest.mark.parametrize("tokens", [0, -5, "many", 10**18, None])
    async def test_tokens_are_a_number_that_adds(self, owner: Caller, tokens: Any) -> None:
        answer = await top_up(owner, tokens)
        assert answer.status_code == 422
        assert [fault["field"] for fault in answer.json()["errors"]] == ["tokens"]


@workflow.defn(name="sleeper", sandboxed=False)
class Sleeper:
    """Waits until it is woken, as a run without budget does."""

    def __init__(self) -> None:
        self._woken = 0

    @workflow.signal(name=WAKE)
    def wake(self) -> None:
        self._woken += 1

    @workflow.query
    def woken(self) -> int:
        return self._woken

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._woken >= 9)


class TestWakes:
    async def sleeper(self, site: Site, owner: Caller) -> Any:
        """A run that was refused."""
        handle = await site.kernel.client.start_workflow(
            "sleeper", id=f"sleeper-{owner.workspace}", task_queue=site.kernel.task_queue
        )
        await configure(owner, token_budget=10)
        assert isinstance(await reserve(site, owner, run=handle.id), Exhausted)
        return handle

    @pytest.mark.parametrize("by", ["top-up", "config"])
    async def test_who_waits_for_tokens_is_told_that_there_are_some(
        self, site: Site, owner: Caller, by: str
    ) -> None:
        handle = await self.sleeper(site, owner)
        async with site.kernel.worker(Sleeper):
            assert await handle.query("woken") == 0
            await (top_up(owner, 50) if by == "top-up" else configure(owner, token_budget=99))
            await eventually(lambda: handle.query("woken"), lambda woken: woken == 1)
            await site.gateway.llm.look_after()
            assert await handle.query("woken") == 1
            await handle.terminate()

    async def test_who_ended_is_forgotten(self, site: Site, owner: Caller) -> None:
        handle = await self.sleeper(site, owner)
        await handle.terminate()
        assert (await top_up(owner, 50)).status_code == 200
        assert await site.kernel.pool.fetchval("SELECT count(*) FROM waits") == 0

    async def test_who_could_not_be_told_is_told_by_the_reconciler(
        self, site: Site, owner: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        handle = await self.sleeper(site, owner)

        async def away() -> None:
            raise Unavailable("Temporal does not answer")

        with monkeypatch.context() as broken:
            broken.setattr(site.gateway.llm._wakes, "tell", away)  # pyright: ignore[reportPrivateUsage]
            assert (await top_up(owner, 50)).status_code == 200
        async with site.kernel.worker(Sleeper):
            assert await handle.query("woken") == 0
            await site.gateway.reconciler.round()
            await eventually(lambda: handle.query("woken"), lambda woken: woken == 1)
            await handle.terminate()

    async def test_a_round_counts_what_the_dead_hold(self, site: Site, owner: Caller) -> None:
        old = ask(workspace=owner.workspace, at=datetime(2026, 1, 5, tzinfo=UTC))
        budgets = Budgets(site.kernel.pool, Keyring(KEYS))
        assert isinstance(await budgets.reserve(old), Reserved)
        assert isinstance(await reserve(site, owner, call_key="young"), Reserved)
        await site.gateway.reconciler.round()
        states = await site.kernel.pool.fetch("SELECT state FROM llm_calls ORDER BY id")
        assert [row["state"] for row in states] == ["expired", "reserved"]
