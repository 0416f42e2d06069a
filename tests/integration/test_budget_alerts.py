"""Alerts of a budget are events: whatever dies in between, each happens once, in its workspace."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from activities.beginnings import Beginnings
from activities.models import ModelActivities
from core.budget import Exhausted
from llm.providers import DEMO_KEY
from services import notices
from services.instructions import SkillInstructions
from services.library import Library
from services.versions import Versions
from store.notices import Notices
from store.pool import Pool
from store.skills import Skills
from tests.gateway import Caller, Site
from tests.integration.test_api_events import listed, told
from tests.integration.test_api_llm import called, configure, reserve, top_up, usage
from tests.slack import Slack
from tests.workflow.routed import open_routed
from worker import make_model_worker

EVENTS_PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")
ALARM = next(
    flow
    for flow in re.findall(r"^```yaml\n(.*?)^```$", EVENTS_PAGE, re.M | re.S)
    if "budget_alert" in flow
)
SPENDS = "steps: [{id: say, generate: Say a word about each of our pipelines.}]"
BUDGET = 100_000
MONTH = f"{datetime.now(UTC):%Y-%m}"


@asynccontextmanager
async def demo_model(site: Site, pool: Pool) -> AsyncIterator[None]:
    """Answers the site's runs, as a worker's does where no key is."""
    skills, library, kernel = Skills(pool), Library({}), site.kernel
    async with open_routed(pool) as routed:
        models = ModelActivities(
            routed.router("anthropic/well", keys={"demo": DEMO_KEY}),
            kernel.parts.tools,
            SkillInstructions(Versions(skills, library), skills, library),
            kernel.parts.attempts,
            Beginnings(kernel.runs),
        )
        async with make_model_worker(kernel.client, models, kernel.task_queue):
            yield


async def alarms(owner: Caller) -> list[dict[str, Any]]:
    """The runs of the skill that passes alerts on, oldest first."""
    answer = await owner.http.get(f"{owner.home}/runs", params={"skill": "alarm"})
    return answer.json()["items"][::-1]


async def test_an_alert_starts_a_skill_once_which_tells_slack_without_a_token(
    site: Site, owner: Caller, pool: Pool
) -> None:
    reconciler = site.gateway.reconciler
    async with Slack() as slack, demo_model(site, pool):
        hosts = ["127.0.0.1"]
        await site.kernel.parts.secrets.put(
            owner.workspace, "slack_webhook_url", slack.webhook, hosts
        )
        await owner.upload("alarm", ALARM)
        await owner.upload("spends", SPENDS)
        await site.work()
        await configure(owner, token_budget=BUDGET)
        await called(site, owner, BUDGET * 3 // 4 - 1)
        await reconciler.round()
        assert await listed(owner) == []

        spending = await owner.ended(await owner.started("spends"))
        assert spending["output"].startswith("[demo model]")
        for _ in range(2):
            await reconciler.round()
        used = (await usage(owner))["tokens_used"]
        [event] = await listed(owner)
        whole = (await owner.http.get(f"{owner.home}/events/{event['id']}")).json()
        assert (whole["name"], whole["actor"]) == (
            "budget_alert",
            {"kind": "system", "id": "budget"},
        )
        assert whole["data"] == {
            "percent": 75,
            "period": MONTH,
            "tokens_used": used,
            "token_budget": BUDGET,
        }

        await called(site, owner, BUDGET - used, call_key="the rest")
        await reconciler.round()
        runs = [await owner.ended(each["run_id"]) for each in await alarms(owner)]
    assert [(each["status"], each["trigger"]) for each in runs] == [("succeeded", "event")] * 3
    assert slack.refused == []
    said = sorted(message["text"] for message in slack.posted)
    assert said == [
        f"100 % of the tokens for {MONTH} are used: {BUDGET} of {BUDGET}.",
        f"75 % of the tokens for {MONTH} are used: {used} of {BUDGET}.",
        f"90 % of the tokens for {MONTH} are used: {BUDGET} of {BUDGET}.",
    ]


async def test_a_gateway_that_dies_before_it_noted_what_it_told_tells_nothing_twice(
    site: Site, owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do two that both take themselves for the leader."""
    await owner.upload("alarm", ALARM)
    await configure(owner, token_budget=100)
    await called(site, owner, 80)

    async def dies(*_: Any) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(Notices, "delivered", dies)
        rounds = (site.gateway.reconciler.round() for _ in range(2))
        ends = await asyncio.gather(*rounds, return_exceptions=True)
        assert [type(end) for end in ends] == [ConnectionResetError] * 2
    [event] = await listed(owner)
    for _ in range(2):
        await site.gateway.reconciler.round()
    assert await listed(owner) == [event]
    [run] = await alarms(owner)
    assert event["skills_triggered"] == [{"skill_id": "alarm", "run_id": run["run_id"]}]
    assert await Notices(site.kernel.pool).undelivered(1) == []


async def test_what_cannot_be_told_stands_before_nobody_else_and_each_sees_its_own(
    site: Site, owner: Caller, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "AT_ONCE", 1)
    await pool.execute(
        "INSERT INTO notices (workspace_id, key, kind, data) "
        "VALUES ('gone', 'budget 2020-01-01 75', 'budget_alert', '{\"percent\": 75}')"
    )
    mine = {"event": "budget_alert", "data": {"of": "mine"}, "id": f"budget {MONTH}-01 75"}
    await told(owner, mine)
    theirs = await site.with_scopes(workspace=await site.new_workspace())
    for caller in (owner, theirs):
        await configure(caller, token_budget=100)
        await called(site, caller, 80)
    for _ in range(3):
        await site.gateway.reconciler.round()
    assert await Notices(pool).undelivered(1) == []
    assert [each["actor"]["kind"] for each in await listed(owner)] == ["key"]
    assert [each["actor"]["kind"] for each in await listed(theirs)] == ["system"]
    assert [each["percent"] for each in (await usage(owner))["alerts"]] == [75]


async def test_refused_calls_are_told_once_and_again_when_a_top_up_is_used_up_as_well(
    site: Site, owner: Caller
) -> None:
    theirs = await site.with_scopes(workspace=await site.new_workspace())
    for caller in (owner, theirs):
        await configure(caller, token_budget=90)
        await called(site, caller, 15)

    async def told_of(tokens: int) -> list[dict[str, Any]]:
        for n in range(2):
            refused = await reserve(site, owner, call_key=f"{tokens} {n}", tokens=tokens)
            assert isinstance(refused, Exhausted)
            await site.gateway.reconciler.round()
        events = await listed(owner, name="budget_exhausted")
        found = [await owner.http.get(f"{owner.home}/events/{each['id']}") for each in events]
        return [each.json()["data"] for each in found]

    first = {"period": MONTH, "tokens_used": 15, "token_budget": 90, "tokens_asked": 77}
    assert await told_of(77) == [first]
    await top_up(owner, 10)
    assert await told_of(86) == [{**first, "token_budget": 100, "tokens_asked": 86}, first]
    assert (await usage(owner))["alerts"] == []
    assert await listed(theirs) == []
