"""Runs that ask models, through providers that fail and workers that are killed."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import TYPE_CHECKING

from tests.chaos import spent
from tests.chaos.vendor import TURNS, WIDTH, turn_of
from tests.waiting import LOOK_EVERY, WITHIN, until

if TYPE_CHECKING:
    from tests.chaos.installed import Installed
    from tests.chaos.outside import Outside
    from tests.chaos.vendor import Vendor

FAULTS = ("429", "529", "midreset", "html")
AFTER = 1.5  # seconds that the provider asks for
OBEYED_WITHIN = 0.5  # and what Temporal and a busy machine may need until the worker has it
SCHEDULED_WITHIN = 1.0
STEP = """\
      {name}:
        - id: {name}
          generate: {name}, please
          model: {provider}/fake-seq-{faults}+fake-after-{after}
          retry: {{attempts: 5, backoff: 100ms}}
"""
ATTEMPTS = 3
ENDING = """\
      {name}:
        - id: {name}
          generate: {name}, please
          model: {provider}/fake-{fault}+fake-after-0.1
          retry: {{attempts: 3, backoff: 20ms}}
          on_error: continue
"""
ENDS = {
    "429": ("rate_limited", ATTEMPTS),
    "429-ms": ("rate_limited", ATTEMPTS),
    "529": ("overloaded", ATTEMPTS),
    "500": ("server_error", ATTEMPTS),
    "502": ("server_error", ATTEMPTS),
    "503": ("overloaded", ATTEMPTS),
    "504": ("timeout", ATTEMPTS),
    "408": ("timeout", ATTEMPTS),
    "409": ("conflict", ATTEMPTS),
    "reset": ("connection", ATTEMPTS),
    "midreset": ("connection", ATTEMPTS),
    "hangup": ("connection", ATTEMPTS),
    "html": ("bad_response", 2),
    "text": ("bad_response", 2),
    "empty": ("bad_response", 2),
    "broken-json": ("bad_response", 2),
    "error-200": ("overloaded", ATTEMPTS),
    "auth": ("invalid_key", 1),
    "permission": ("permission", 1),
    "notfound": ("model_not_found", 1),
    "toolarge": ("request_too_large", 1),
    "quota": ("quota_exhausted", 1),
    "spend": ("quota_exhausted", 1),
    "payment": ("quota_exhausted", 1),
    "credit": ("quota_exhausted", 1),
    "toolong": ("context_window", 1),
    "badrequest": ("invalid_request", 1),
    "redirect": ("config", 1),
}
WIRES = {
    "messages": ("anthropic", "-".join(FAULTS)),
    "completions": ("openai", "-".join(FAULTS)),
    "by_date": ("openai", "429-date"),
    "by_ms": ("anthropic", "429-ms"),
}

THINKS = """\
inputs:
  base: {type: string}
steps:
  - id: think
    reason: What is at ${inputs.base}?
    model: anthropic/thinker
    tools: []
  - id: after
    compute: http_request
    with: {url: "${inputs.base}/after"}
"""
TOOL = re.compile(r"look\.turn(\d)\.http_request(?:-(\d))?")
LOOP = """\
inputs:
  base: {type: string}
steps:
  - id: look
    reason: Look at ${inputs.base} in turns.
    model: anthropic/looper
    tools: [http_request]
"""


async def test_a_run_survives_all_that_a_provider_does_and_pays_each_answer_once(
    modelled: Installed, vendor: Vendor
) -> None:
    steps = "".join(
        STEP.format(name=name, provider=provider, faults=faults, after=AFTER)
        for name, (provider, faults) in WIRES.items()
    )
    skill = await modelled.push(f"steps:\n  - id: all\n    parallel:\n{steps}")
    run = await modelled.run(skill)

    assert run.status == "succeeded", run.error
    rows = await spent.calls(modelled, run.run_id)
    assert Counter(row["path"] for row in rows) == dict.fromkeys(WIRES, 1)
    total = sum(row["input"] + row["output"] for row in rows)
    assert (run.token_usage.total, total > 0) == (total, True)
    assert await spent.off(modelled) == []
    for name in ("messages", "completions"):
        asked = vendor.asked(f"{name}, please")
        assert tuple(each.fault for each in asked) == (*FAULTS, None)
    for name in WIRES:
        refused, again = vendor.asked(f"{name}, please")[:2]
        # A date has whole seconds, so that it may ask for one more.
        late = (again.at - refused.at) - AFTER - (name == "by_date")
        assert late < OBEYED_WITHIN + SCHEDULED_WITHIN, name
        assert again.at - refused.at > AFTER - 0.1, name


async def test_each_fault_ends_in_its_class_after_as_many_attempts_as_make_sense(
    modelled: Installed, vendor: Vendor
) -> None:
    steps = "".join(
        ENDING.format(name=f"{provider}_{fault.replace('-', '_')}", provider=provider, fault=fault)
        for provider in ("anthropic", "openai")
        for fault in ENDS
    )
    run = await modelled.run(
        await modelled.push(f"steps:\n  - id: all\n    parallel:\n{steps}output: ${{errors}}\n")
    )
    assert run.status == "succeeded", run.error
    for step, error in run.output.items():
        provider, _, fault = step.partition("_")
        model = f"fake-{fault.replace('_', '-')}+fake-after-0.1"
        asked = [each for each in vendor.asked(f"{step}, please") if each.model == model]
        assert (error["code"], len(asked)) == ENDS[fault.replace("_", "-")], (provider, fault)
    assert len(run.output) == 2 * len(ENDS)
    assert await spent.off(modelled) == []


async def test_killed_worker_repeats_at_most_the_call_it_had_in_hand(
    modelled: Installed, vendor: Vendor, outside: Outside
) -> None:
    """Every point of a loop of six turns at once: a run for each, stopped there by one kill."""
    asking = {f"asking{turn}": turn for turn in range(1, TURNS + 1)}
    using = {f"using{turn}": f"turn{turn}/" for turn in range(1, TURNS)}
    last = {f"last{turn}": f"turn{turn}/{WIDTH - 1}" for turn in range(1, TURNS)}
    held = {f"/{name}/{rest}" for name, rest in (using | last).items()}

    def holds(body: str) -> bool:
        return any(f"/{name} " in body and turn_of(body) == turn for name, turn in asking.items())

    looper = await modelled.push(LOOP, allowed_tools="http_request")
    whole = await modelled.run(looper, base=f"{outside.base}/whole")
    assert whole.status == "succeeded", whole.error
    assert whole.output.startswith(f"{(TURNS - 1) * WIDTH} results, ")

    vendor.hold(holds)
    outside.hold(*held)
    points = (*asking, *using, *last)
    runs = [await modelled.start(looper, base=f"{outside.base}/{name}") for name in points]
    in_hand = len(using) * WIDTH + len(last)

    def all_are_held() -> bool:
        waiting = sum(outside.counts.values()) - sum(outside.answered.values())
        return len(vendor.held) == len(asking) and waiting == in_hand

    await until(all_are_held, 40)
    used = [
        await used_up(modelled, run_id, (int(name[-1]) - 1) * WIDTH + (WIDTH - 1) * (name in last))
        for name, run_id in zip(points, runs, strict=True)
    ]
    death = await modelled.kill("worker")
    vendor.release()
    outside.release()
    await death.over()
    async with asyncio.timeout(60):
        ended = await asyncio.gather(*(modelled.client.runs.wait(run_id) for run_id in runs))

    for name, run in zip(points, ended, strict=True):
        assert (run.status, run.output) == ("succeeded", whole.output), name
        repeated = {1: TURNS - 1, 2: 1} if name in asking else {1: TURNS}
        assert vendor.repeats(f"/{name} ") == repeated, name
        rows = await spent.calls(modelled, run.run_id)
        assert len({row["path"] for row in rows}) == len(rows) == TURNS, name
    for name, paths in zip(points, used, strict=True):
        assert {outside.counts[f"/{name}/{path}"] for path in paths} <= {1}, name
    assert max(outside.counts.values()) == 2
    assert await spent.off(modelled) == []


async def test_a_retry_asks_again_what_was_changed_and_nothing_else(
    modelled: Installed, vendor: Vendor, outside: Outside
) -> None:
    skill = await modelled.push(THINKS, "Be kind.", allowed_tools="http_request")
    outside.broken["/after"] = b"not today"
    failed = await modelled.run(skill, base=outside.base)
    assert failed.status == "failed"
    outside.broken.clear()

    async def retried() -> tuple[str, int]:
        before = len(vendor.asked(outside.base))
        started = await modelled.client.runs.retry(failed.run_id, version="latest")
        run = await modelled.client.runs.wait(started.run_id)
        return run.status, len(vendor.asked(outside.base)) - before

    await modelled.push_as(skill, THINKS + "# mended\n", "Be kind.", allowed_tools="http_request")
    assert await retried() == ("succeeded", 0)
    await modelled.push_as(skill, THINKS, "Be strict.", allowed_tools="http_request")
    assert await retried() == ("succeeded", 1)
    assert "Be strict." in str(vendor.asked(outside.base)[-1].body)
    other = THINKS.replace("anthropic/thinker", "anthropic/another")
    await modelled.push_as(skill, other, "Be kind.", allowed_tools="http_request")
    assert await retried() == ("succeeded", 1)
    assert vendor.asked(outside.base)[-1].model == "another"


async def used_up(installed: Installed, run_id: str, count: int) -> set[str]:
    """What was asked by the tools that the run knows to be done, once they are so many."""
    async with asyncio.timeout(WITHIN):
        while True:
            done = {TOOL.fullmatch(path) for path in await installed.finished(run_id)} - {None}
            if len(done) == count:
                return {f"turn{one[1]}/{int(one[2] or 1) - 1}" for one in done if one}
            await asyncio.sleep(LOOK_EVERY)
