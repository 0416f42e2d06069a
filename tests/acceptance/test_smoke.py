"""The first hour of a revenue team with `make up`, on the demo provider: every report as told."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import pytest_asyncio
from standardwebhooks.webhooks import Webhook

from core.report import Report
from tests.acceptance.installation import ROOT, SERVES_WITHIN, Installation
from tests.chaos.installed import Installed
from tests.hubspot.life import Life
from tests.hubspot.server import TOKEN, open_hubspot
from tests.receiver import Received, Receiver, reply
from tests.slack import Slack
from tests.waiting import until, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

SKILLS = ("deal-risk-review", "pipeline-hygiene", "weekly-recap")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home: Path = tmp_path_factory.mktemp("team") / "home"
    around = {"PERDURE_DEMO_DATA": "1", "PERDURE_HTTP_ALLOWED_HOSTS": "127.0.0.1"}
    with Installation(home, **around) as installation:
        installation.start()
        wait_until(lambda: "run pipeline-hygiene" in installation.screen(), SERVES_WITHIN)
        yield installation


class Caller:
    """HTTP as another system speaks it."""

    def __init__(self, url: str, key: str, workspace: str) -> None:
        self.workspace = workspace
        self.http = httpx2.AsyncClient(
            base_url=url, headers={"X-API-Key": key}, trust_env=False, timeout=30
        )

    async def get(self, path: str) -> Any:
        answer = await self.http.get(path)
        assert answer.is_success, answer.text
        return answer.json()

    async def post(self, path: str, body: Any) -> Any:
        answer = await self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def runs(self, skill: str) -> list[dict[str, Any]]:
        return (await self.get(f"/api/workspaces/{self.workspace}/skills/{skill}/runs"))["items"]

    async def ended(self, run_id: str) -> dict[str, Any]:
        while (run := await self.get(f"/api/runs/{run_id}"))["completed_at"] is None:
            await asyncio.sleep(0.05)
        return run


@pytest_asyncio.fixture
async def caller(team: Installation) -> AsyncGenerator[Caller]:
    known = team.credentials()
    caller = Caller(known["url"], known["workspace_key"], known["workspace_id"])
    async with caller.http:
        yield caller


async def test_the_three_skills_are_there_with_what_they_say(caller: Caller) -> None:
    listed = (await caller.get("/api/workspaces/demo/skills"))["items"]
    ours = {each["name"]: each for each in listed if each["category"] == "revenue"}
    assert tuple(sorted(ours)) == SKILLS
    assert all(len(each["description"]) > 100 for each in ours.values())


async def test_a_run_gives_a_report_and_leaves_its_trace(caller: Caller) -> None:
    started = await caller.post("/api/workspaces/demo/skills/pipeline-hygiene/run", {})
    run = await caller.ended(started["run_id"])
    assert (run["status"], run["error"]) == ("succeeded", None)
    report = Report.read(run["output"])
    assert report is not None
    assert {"stale", "slipped", "pushed", "no_next_step", "missing_fields"} == {
        kind for finding in report.findings for kind in (finding.kind, *finding.also)
    }
    assert all(finding.deal and finding.deal.url for finding in report.findings)
    assert all(finding.action and finding.owner for finding in report.findings)
    assert run["token_usage"]["total"] > 1_000
    assert run["duration_ms"] > 0
    assert run["run_id"] in {each["run_id"] for each in await caller.runs("pipeline-hygiene")}
    first = report.findings[0].deal
    assert first is not None
    for form in ("html", "markdown", "slack", "json"):
        shown = await caller.http.get(f"/api/runs/{run['run_id']}/report", params={"format": form})
        assert shown.is_success
        assert first.name.split()[0] in shown.text


async def test_the_same_data_again_brings_nothing_new(caller: Caller) -> None:
    first, second = [
        await caller.ended(
            (await caller.post("/api/workspaces/demo/skills/pipeline-hygiene/run", {}))["run_id"]
        )
        for _ in range(2)
    ]
    changes = second["output"]["changes"]
    problems = sum(1 + len(finding["also"]) for finding in first["output"]["findings"])
    counted = {name: changes[name] for name in ("new", "resolved", "still")}
    assert counted == {"new": 0, "resolved": 0, "still": problems}
    assert not any(finding["new"] for finding in second["output"]["findings"])


async def test_another_system_starts_a_review_and_is_told_its_end(caller: Caller) -> None:
    async def thanks(_: Received) -> bytes:
        return reply(204)

    async with Receiver(thanks) as receiver:
        asked = {"workspace_id": "demo", "callback_url": receiver.url("/done")}
        started = await caller.post("/api/webhooks/skills/deal-risk-review/trigger", asked)
        run = await caller.ended(started["run_id"])
        assert (run["status"], run["trigger"]) == ("succeeded", "webhook")
        (told,) = await until(lambda: receiver.requests)
    secret = (await caller.get("/api/workspaces/demo/webhooks/secret"))["secret"]
    assert Webhook(secret).verify(told.body, told.headers)
    assert run["run_id"] in told.body.decode()
    signals = [each for each in run["output"]["findings"] if each["kind"] == "risk_signal"]
    assert signals
    assert all("“" in each["title"] for each in signals)


async def test_each_sync_is_reviewed_and_told_in_slack_once(team: Installation) -> None:
    """One sync fails, one tries again in its midst, one brings what is new: two have news."""
    installed = Installed.of(team)
    async with (
        Slack() as slack,
        open_hubspot() as hubspot,
        installed.new_workspace() as ours,
    ):
        life = Life(hubspot.crm, Random(4))
        life.begin(companies=4, contacts=6, deals=20)
        found = ours.client.connection
        caller = Caller(found.url, found.key, found.workspace or "")
        async with caller.http:
            here = f"/api/workspaces/{caller.workspace}/sources"
            hosts = [f"127.0.0.1:{slack.port}"]
            await ours.client.secrets.put("slack_webhook_url", slack.webhook, allowed_hosts=hosts)
            await ours.client.secrets.put(
                "hubspot_token", "pat-wrong", allowed_hosts=[f"127.0.0.1:{hubspot.port}"]
            )
            config = {"type": "hubspot", "base_url": hubspot.url}
            await caller.post(here, {"id": "crm", "config": config})

            failed = await caller.ended((await caller.post(f"{here}/crm/sync", {}))["run_id"])
            assert failed["status"] == "failed"
            await ours.client.secrets.put(
                "hubspot_token", TOKEN, allowed_hosts=[f"127.0.0.1:{hubspot.port}"]
            )
            troubled: list[Received] = []

            def once(received: Received, _: bytes) -> bytes | None:
                troubled.append(received)
                return reply(500, b"{}") if len(troubled) == 4 else None

            hubspot.trouble = once
            first = await caller.ended((await caller.post(f"{here}/crm/sync", {}))["run_id"])
            assert first["output"]["records"] > 0
            await _reviewed(caller, 1)

            life.create("deals")
            second = await caller.ended((await caller.post(f"{here}/crm/sync", {}))["run_id"])
            assert second["output"]["records"] > 0
            reviews = await _reviewed(caller, 2)
            await until(lambda: len(slack.posted) == 2)
    assert slack.refused == []
    assert {each["trigger"] for each in reviews} == {"event"}
    assert all("Deal risk review" in json.dumps(message) for message in slack.posted)


async def _reviewed(caller: Caller, many: int) -> list[dict[str, Any]]:
    while len(runs := await caller.runs("deal-risk-review")) < many:
        await asyncio.sleep(0.05)
    for each in runs:
        run = await caller.ended(each["run_id"])
        assert run["status"] == "succeeded", run["error"]
    assert len(runs) == many
    return runs


@pytest.mark.parametrize("skill", SKILLS)
def test_the_report_finds_what_is_planted_and_invents_nothing(
    team: Installation, skill: str
) -> None:
    scored = subprocess.run(
        [sys.executable, "-m", "evals", skill, "--json"],
        cwd=ROOT,
        env=os.environ | {"PERDURE_HOME": str(team.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert scored.returncode == 0, scored.stdout + scored.stderr
    found = json.loads(scored.stdout)
    assert (found["invented"], found["wrong"], found["unlinked"]) == ([], [], [])
    assert sum(each["found"] for each in found["kinds"].values()) >= 10
    assert bool(found["planted"]) == (skill != "weekly-recap")
