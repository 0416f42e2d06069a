from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.gateway import ASKS, ECHO, HELD, Caller, Site
from tests.kernel import eventually

FRAGILE = """\
steps:
  - id: kept
    compute: watched
    with: {value: "${inputs.word}"}
  - id: broken
    compute: watched
    with: {value: "${inputs.word}", fail: for_good}
inputs:
  word: {type: string, default: hello}
"""
BOTH = """\
steps:
  - id: both
    parallel:
      left:
        - {id: sign, approve: May it go?}
      right:
        - {id: work, compute: watched, with: {value: 1, hold: gate}}
"""


async def held(site: Site, owner: Caller) -> str:
    """A run in the middle of its second step."""
    await owner.upload("held", HELD)
    await site.work()
    run_id = await owner.started("held")
    await site.kernel.world.arrives("gate")
    return run_id


async def test_a_paused_run_starts_no_step_until_it_is_resumed(site: Site, owner: Caller) -> None:
    run_id = await held(site, owner)
    paused = await owner.act(run_id, "pause")
    assert paused.status_code == 202
    assert paused.json() == {"run_id": run_id, "status": "paused"}
    assert (await owner.act(run_id, "pause")).status_code == 202
    site.kernel.world.open.add("gate")
    await eventually(
        lambda: owner.run(run_id),
        lambda run: [step["status"] for step in run["steps"]] == ["succeeded", "succeeded"],
    )
    assert (await owner.run(run_id))["status"] == "paused"
    assert site.kernel.world.calls["last"] == 0
    resumed = await owner.act(run_id, "resume")
    assert resumed.json()["status"] in ("running", "succeeded")
    assert (await owner.ended(run_id))["output"] == 3


async def test_cancel_stops_a_step_under_way(site: Site, owner: Caller) -> None:
    run_id = await held(site, owner)
    answer = await owner.act(run_id, "cancel")
    assert answer.status_code == 202
    run = await owner.ended(run_id)
    assert run["status"] == "cancelled"
    assert [step["status"] for step in run["steps"]] == ["succeeded", "cancelled"]


@pytest.mark.parametrize("action", ["pause", "resume", "cancel", "approve", "reject"])
async def test_an_ended_run_takes_no_action(site: Site, owner: Caller, action: str) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    run_id = (await owner.start("talk", {}, Prefer="wait=20")).json()["run_id"]
    answer = await owner.act(run_id, action)
    assert answer.status_code == 409
    assert answer.json()["code"] == "run_ended"


async def test_a_terminated_run_takes_no_action_though_its_row_is_open(
    site: Site, owner: Caller
) -> None:
    run_id = await held(site, owner)
    await site.kernel.client.get_workflow_handle(run_id).terminate()
    answer = await owner.act(run_id, "pause")
    assert (answer.status_code, answer.json()["code"]) == (409, "run_ended")


async def test_an_approval_is_shown_while_another_branch_still_runs(
    site: Site, owner: Caller
) -> None:
    await owner.upload("both", BOTH)
    await site.work()
    run_id = await owner.started("both")
    await site.kernel.world.arrives("gate")
    asked = await eventually(lambda: owner.run(run_id), lambda run: bool(run["waiting_for"]))
    assert (asked["status"], asked["waiting_for"][0]["message"]) == ("running", "May it go?")
    assert ("sign", "waiting") in [(step["path"], step["status"]) for step in asked["steps"]]
    approved = await owner.act(run_id, "approve")
    assert approved.json()["status"] == "running"
    await eventually(lambda: owner.run(run_id), lambda run: not run["waiting_for"])
    site.kernel.world.open.add("gate")
    assert (await owner.ended(run_id))["status"] == "succeeded"


@pytest.mark.parametrize(("action", "status"), [("approve", "succeeded"), ("reject", "failed")])
async def test_a_decision_is_taken_once(
    site: Site, owner: Caller, action: str, status: str
) -> None:
    await owner.upload("asks", ASKS)
    await site.work()
    run_id = await owner.started("asks")
    waiting = await owner.status(run_id, "waiting")
    assert [(one["kind"], one["step"]) for one in waiting["waiting_for"]] == [("approval", "sign")]
    answers = await asyncio.gather(
        *(owner.act(run_id, action, step="sign", comment="as agreed") for _ in range(2))
    )
    assert sorted(answer.status_code for answer in answers) == [202, 409]
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert refused["code"] in ("not_pending", "run_ended")
    assert (await owner.ended(run_id))["status"] == status


async def test_a_decision_nobody_waits_for_is_refused(site: Site, owner: Caller) -> None:
    run_id = await held(site, owner)
    answer = await owner.act(run_id, "approve", step="sign")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_pending")
    site.kernel.world.open.add("gate")
    await owner.ended(run_id)


async def test_an_unknown_action_is_refused_with_the_nearest_right_one(
    site: Site, owner: Caller
) -> None:
    await owner.upload("talk", ECHO)
    run_id = await owner.started("talk")
    (fault,) = (await owner.act(run_id, "cancle")).json()["errors"]
    assert fault["field"] == "action"
    assert fault["message"].endswith("did you mean `cancel`?")
    (fault,) = (await owner.act(run_id, "retry", verison="latest")).json()["errors"]
    assert fault == {"field": "verison", "message": "unknown field; did you mean `version`?"}
    (fault,) = (await owner.act(run_id, "retry", version="newest")).json()["errors"]
    assert fault["field"] == "version"


async def test_a_decision_without_a_worker_can_be_tried_again(
    owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.actions.DECIDE_WITHIN", timedelta(seconds=0.5))
    await owner.upload("asks", ASKS)
    answer = await owner.act(await owner.started("asks"), "approve")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


class TestRetry:
    async def test_what_finished_is_kept(self, site: Site, owner: Caller) -> None:
        await owner.upload("fragile", FRAGILE)
        await site.work()
        first = await owner.ended(await owner.started("fragile", {"inputs": {"word": "a"}}))
        assert (first["status"], first["error"]["step"]) == ("failed", "broken")
        site.kernel.world.mended = True
        answer = await owner.act(first["run_id"], "retry")
        assert answer.status_code == 202
        again = await owner.ended(answer.json()["run_id"])
        assert again["run_id"] != first["run_id"]
        assert (again["status"], again["trigger"]) == ("succeeded", "retry")
        assert (again["lineage"], again["retry_of"]) == (first["lineage"], first["run_id"])
        assert again["inputs"] == {"word": "a"}
        assert again["version"] == first["version"]
        assert site.kernel.world.calls["kept"] == 1
        assert [step["given"] for step in again["steps"]] == [True, False]

    async def test_other_inputs_are_checked(self, site: Site, owner: Caller) -> None:
        await owner.upload("fragile", FRAGILE)
        await site.work()
        first = await owner.ended(await owner.started("fragile"))
        refused = await owner.act(first["run_id"], "retry", inputs={"word": 7})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_inputs")
        site.kernel.world.mended = True
        answer = await owner.act(first["run_id"], "retry", inputs={"word": "other"})
        again = await owner.ended(answer.json()["run_id"])
        assert again["output"] == "other"
        assert site.kernel.world.calls["kept"] == 2

    async def test_the_version_is_as_it_was_unless_the_latest_is_asked_for(
        self, site: Site, owner: Caller
    ) -> None:
        old = await owner.upload("fragile", FRAGILE)
        await site.work()
        first = await owner.ended(await owner.started("fragile"))
        new = await owner.upload("fragile", ECHO)
        same = await owner.act(first["run_id"], "retry")
        latest = await owner.act(first["run_id"], "retry", version="latest")
        as_it_was = await owner.ended(same.json()["run_id"])
        assert (as_it_was["version"], as_it_was["status"]) == (old["version"], "failed")
        newest = await owner.ended(latest.json()["run_id"])
        assert (newest["version"], newest["output"]) == (new["version"], "hello")

    async def test_a_removed_skill_can_be_retried(self, site: Site, owner: Caller) -> None:
        await owner.upload("fragile", FRAGILE)
        await site.work()
        first = await owner.ended(await owner.started("fragile"))
        await owner.http.delete(f"{owner.home}/skills/fragile")
        site.kernel.world.mended = True
        answer = await owner.act(first["run_id"], "retry")
        assert (await owner.ended(answer.json()["run_id"]))["status"] == "succeeded"

    async def test_an_open_run_is_not_retried(self, site: Site, owner: Caller) -> None:
        run_id = await held(site, owner)
        answer = await owner.act(run_id, "retry")
        assert (answer.status_code, answer.json()["code"]) == (409, "run_not_ended")
        site.kernel.world.open.add("gate")
        await owner.ended(run_id)

    async def test_the_same_key_retries_once(self, site: Site, owner: Caller) -> None:
        await owner.upload("fragile", FRAGILE)
        await site.work()
        first = await owner.ended(await owner.started("fragile"))
        path, key = f"/api/runs/{first['run_id']}", {"Idempotency-Key": "again-1"}
        answers = await asyncio.gather(
            *(owner.http.post(path, json={"action": "retry"}, headers=key) for _ in range(10))
        )
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["run_id"] for answer in answers}) == 1
        other = await owner.http.post(
            path, json={"action": "retry", "version": "latest"}, headers=key
        )
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
