"""Runs wait for budget and go on by themselves, and no workspace feels another's."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from perdure.client import Client
from perdure.errors import Refused
from tests.chaos import spent
from tests.chaos.conftest import PLATFORM_KEYS
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from perdure.run import Run
    from tests.chaos.installed import Installed
    from tests.chaos.vendor import Vendor

ITEMS, LANES, BUDGET = 20, 4, 700
SAYS = f"""\
inputs:
  who: {{type: string}}
steps:
  - id: say
    for_each: ${{range({ITEMS})}}
    concurrency: {LANES}
    generate: Say ${{item}} to ${{inputs.who}}.
    model: anthropic/well
    max_tokens: 100
output: ${{size(steps.say)}}
"""
ONCE = "steps:\n  - {id: say, generate: Say hello to %s.}\n"


@pytest_asyncio.fixture
async def ours(modelled: Installed) -> AsyncIterator[Installed]:
    """A workspace whose budget holds some of the calls."""
    async with modelled.new_workspace() as ours:
        await ours.client.llm.set_budget(BUDGET)
        yield ours


async def waits_for_budget(ours: Installed, run_id: str) -> None:
    run = await ours.status(run_id, "waiting")
    assert {waiting.kind for waiting in run.waiting_for} == {"budget"}
    assert all(waiting.until for waiting in run.waiting_for)
    usage = await ours.client.llm.usage()
    assert 0 < usage.tokens_used <= BUDGET
    assert usage.tokens_reserved == 0
    assert 0 < len(await spent.calls(ours, run_id)) < ITEMS


async def bought_all_once(ours: Installed, run: Run) -> None:
    assert (run.status, run.output) == ("succeeded", ITEMS), run.error
    rows = await spent.calls(ours, run.run_id)
    assert Counter(row["path"] for row in rows) == {f"say[{n}]": 1 for n in range(ITEMS)}
    assert await spent.calls(ours, run.run_id, "reserved", "spent", "expired") == []
    usage = await ours.client.llm.usage()
    assert usage.tokens_used == sum(row["input"] + row["output"] for row in rows)
    assert await spent.off(ours) == []
    async with spent.database(ours) as connection:
        asked = "SELECT count(*) FROM waits WHERE run_id = $1"
        assert await connection.fetchval(asked, run.run_id) == 0


async def test_run_goes_on_after_a_top_up_while_its_worker_was_dead(
    ours: Installed, vendor: Vendor
) -> None:
    skill = await ours.push(SAYS)
    run_id = await ours.start(skill, who="Ada")
    await waits_for_budget(ours, run_id)
    death = await ours.kill("worker")
    await ours.client.llm.top_up(100_000)
    await death.over()
    await bought_all_once(ours, await ours.client.runs.wait(run_id))
    assert vendor.repeats("to Ada.") == {1: ITEMS}


async def test_run_whose_worker_was_killed_over_its_calls_goes_on_after_a_higher_limit(
    ours: Installed, vendor: Vendor
) -> None:
    skill = await ours.push(SAYS)
    vendor.hold(lambda body: "to Grace." in body)
    run_id = await ours.start(skill, who="Grace")
    await until(lambda: len(vendor.held) == LANES)
    assert (await ours.client.llm.usage()).tokens_reserved > 0
    death = await ours.kill("worker")
    vendor.release()
    await death.over()
    await waits_for_budget(ours, run_id)
    await ours.client.llm.set_budget(1_000_000)
    await bought_all_once(ours, await ours.client.runs.wait(run_id))
    assert vendor.repeats("to Grace.") == {1: ITEMS - LANES, 2: LANES}


@pytest_asyncio.fixture
async def theirs(modelled: Installed) -> AsyncIterator[Installed]:
    async with modelled.new_workspace() as theirs:
        yield theirs


async def test_two_workspaces_share_no_budget_no_key_no_route_and_no_usage(
    ours: Installed, theirs: Installed, vendor: Vendor
) -> None:
    before = await theirs.client.llm.config()
    await ours.client.llm.set_budget(0)
    await ours.client.llm.set_key("anthropic", "sk-ant-of-ours-alone")
    await ours.client.llm.route("generate", ["anthropic/chosen-by-us"])
    assert await theirs.client.llm.config() == before
    assert before.token_budget is None
    assert not any(one.connected for one in before.providers)

    runs = [
        await one.run(await one.push(ONCE % name)) for one, name in ((ours, "us"), (theirs, "them"))
    ]
    assert [run.status for run in runs] == ["succeeded", "succeeded"]
    [by_us], [by_them] = vendor.asked("hello to us."), vendor.asked("hello to them.")
    assert (by_us.model, by_them.model) == ("chosen-by-us", "claude-sonnet-5-5")
    assert by_us.key != by_them.key
    assert by_them.key == platform_key_of(vendor)
    our_usage, their_usage = await ours.client.llm.usage(), await theirs.client.llm.usage()
    assert (our_usage.tokens_used, our_usage.own_tokens > 0) == (0, True)
    assert (their_usage.tokens_used > 0, their_usage.own_tokens) == (True, 0)
    assert their_usage.token_budget is None

    found = theirs.client.connection
    async with Client(found.url, found.key, ours.client.connection.workspace) as intruder:
        llm = intruder.llm
        for tried in (
            llm.config(),
            llm.usage(),
            llm.top_up(5),
            llm.set_budget(5),
            llm.remove_key("anthropic"),
        ):
            with pytest.raises(Refused) as refused:
                await tried
            assert refused.value.status == 404
    assert (await ours.client.llm.config()).token_budget == 0


def platform_key_of(vendor: Vendor) -> str:
    return vendor.digest(PLATFORM_KEYS["ANTHROPIC_API_KEY"])
