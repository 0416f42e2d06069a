from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from dirty_equals import IsStr

from tests.gateway import ECHO, HELD, UI, Caller, Site
from tests.kernel import eventually


async def test_a_run_that_is_waited_for_answers_with_its_output(site: Site, owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    answer = await owner.start("talk", {"inputs": {"word": "hi"}}, Prefer="wait=20")
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=20"
    body = answer.json()
    assert body.pop("duration_ms") >= 0
    assert body == {
        "run_id": body["run_id"],
        "status": "succeeded",
        "output_preview": "hi",
        "output": "hi",
        "error": None,
    }
    run = await owner.run(body["run_id"])
    assert run["status"] == "succeeded"
    assert run["inputs"] == {"word": "hi"}
    assert [step["path"] for step in run["steps"]] == ["say"]
    run_id = run["run_id"]
    assert run["links"] == {
        "run": f"/api/runs/{run_id}",
        "report": IsStr(regex=rf"/api/runs/{run_id}/report\?token=\d+\.[\w-]{{43}}"),
        "temporal_ui": f"{UI}/namespaces/perdure/workflows/{run_id}",
    }


async def test_a_run_without_a_worker_is_queued_and_runs_when_one_comes(
    site: Site, owner: Caller
) -> None:
    await owner.upload("talk", ECHO)
    answer = await owner.start("talk", {"inputs": {}}, Prefer="respond-async, wait=0.1")
    assert answer.status_code == 202
    run_id = answer.json()["run_id"]
    assert answer.json() == {"run_id": run_id, "status": "queued"}
    listed = (await owner.http.get(f"{owner.home}/runs", params={"status": "queued"})).json()
    assert [run["run_id"] for run in listed["items"]] == [run_id]
    assert (await owner.run(run_id))["status"] == "queued"
    await site.work()
    assert (await owner.ended(run_id))["output"] == "hello"


async def test_no_body_means_no_inputs(owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    answer = await owner.http.post(f"{owner.home}/skills/talk/run")
    assert answer.status_code == 202


async def test_ids_are_short_and_safe_however_long_the_name(owner: Caller) -> None:
    name = "-".join(["word"] * 12)
    await owner.upload(name, ECHO)
    run_id = await owner.started(name)
    assert len(run_id) <= 60
    assert run_id.startswith("word-word")
    assert "--" not in run_id


async def test_bad_inputs_are_refused_field_by_field(owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    answer = await owner.start("talk", {"inputs": {"wrod": "hi"}})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "invalid_inputs"
    assert problem["errors"] == [
        {"field": "inputs.wrod", "message": "unknown input; did you mean `word`?"}
    ]


async def test_inputs_have_a_largest_size(owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    answer = await owner.start("talk", {"inputs": {"word": "x" * 1_600_000}})
    assert answer.status_code == 422
    assert answer.json()["code"] == "value_too_large"
    assert [fault["field"] for fault in answer.json()["errors"]] == ["inputs"]


async def test_an_unknown_field_is_refused_with_the_nearest_right_one(owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    answer = await owner.start("talk", {"input": {}, "callMe": "https://example.com"})
    assert answer.status_code == 422
    told = {fault["field"]: fault["message"] for fault in answer.json()["errors"]}
    assert told["input"] == "unknown field; did you mean `inputs`?"
    assert told["callMe"].startswith("unknown field")


async def test_an_unknown_skill_is_refused_with_the_nearest_right_one(owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    answer = await owner.start("tlak")
    assert answer.status_code == 404
    assert "did you mean `talk`" in answer.json()["detail"]


@pytest.mark.parametrize("wait", ["301", "-1", "soon"])
async def test_waits_are_bounded(owner: Caller, wait: str) -> None:
    await owner.upload("talk", ECHO)
    answer = await owner.http.post(f"{owner.home}/skills/talk/run", params={"wait": wait})
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == ["wait"]


async def test_a_longer_preference_is_cut_not_refused(site: Site, owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    answer = await owner.start("talk", {}, Prefer="handling=lenient, wait=4000")
    assert answer.headers["Preference-Applied"] == "wait=300"
    assert answer.status_code == 200


class TestIdempotencyKey:
    async def test_fifty_at_once_are_one_run(self, site: Site, owner: Caller) -> None:
        await owner.upload("talk", ECHO)
        await site.work()
        answers = await asyncio.gather(
            *(owner.start("talk", {"inputs": {}}, Idempotency_Key="k-1") for _ in range(50))
        )
        assert Counter(answer.status_code for answer in answers) == {202: 50}
        (run_id,) = {answer.json()["run_id"] for answer in answers}
        await owner.ended(run_id)
        again = await owner.start("talk", {"inputs": {}}, Idempotency_Key="k-1")
        assert again.json() == {"run_id": run_id, "status": "succeeded"}
        waited = await owner.start("talk", {"inputs": {}}, Idempotency_Key="k-1", Prefer="wait=5")
        assert waited.status_code == 200
        assert waited.json()["output"] == "hello"
        listed = (await owner.http.get(f"{owner.home}/runs")).json()
        assert [run["run_id"] for run in listed["items"]] == [run_id]

    async def test_another_body_is_refused(self, owner: Caller) -> None:
        await owner.upload("talk", ECHO)
        await owner.start("talk", {"inputs": {"word": "a"}}, Idempotency_Key="k-1")
        answer = await owner.start("talk", {"inputs": {"word": "b"}}, Idempotency_Key="k-1")
        assert answer.status_code == 409
        assert answer.json()["code"] == "idempotency_key_reused"

    async def test_a_key_is_one_for_the_whole_workspace_and_for_no_other(
        self, site: Site, owner: Caller
    ) -> None:
        elsewhere = await site.with_scopes(workspace=await site.new_workspace())
        runs: set[str] = set()
        for caller in (owner, elsewhere):
            await caller.upload("talk", ECHO)
            answer = await caller.start("talk", {}, Idempotency_Key="k-1")
            runs.add(answer.json()["run_id"])
        assert len(runs) == 2
        await owner.upload("chat", ECHO)
        another = await owner.start("chat", {}, Idempotency_Key="k-1")
        assert (another.status_code, another.json()["code"]) == (409, "idempotency_key_reused")

    async def test_it_outlives_the_skill(self, owner: Caller) -> None:
        await owner.upload("talk", ECHO)
        first = await owner.start("talk", {}, Idempotency_Key="k-1")
        await owner.http.delete(f"{owner.home}/skills/talk")
        again = await owner.start("talk", {}, Idempotency_Key="k-1")
        assert again.json()["run_id"] == first.json()["run_id"]

    async def test_a_run_whose_start_was_cut_off_is_started(
        self, site: Site, owner: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await owner.upload("talk", ECHO)

        async def crash(*_: Any) -> None:
            raise ConnectionResetError

        with monkeypatch.context() as patch:
            patch.setattr("services.starter.Starter.start", crash)
            assert (await owner.start("talk", {}, Idempotency_Key="k-1")).status_code == 500
        (left,) = (await owner.http.get(f"{owner.home}/runs")).json()["items"]
        await site.kernel.pool.execute(
            "UPDATE runs SET created_at = created_at - interval '10 seconds' WHERE run_id = $1",
            left["run_id"],
        )
        await site.work()
        again = await owner.start("talk", {}, Idempotency_Key="k-1")
        assert again.json()["run_id"] == left["run_id"]
        assert (await owner.ended(left["run_id"]))["output"] == "hello"

    @pytest.mark.parametrize("key", ["", "a b", "x" * 256, "kéy"])
    async def test_a_key_is_visible_ascii(self, owner: Caller, key: str) -> None:
        await owner.upload("talk", ECHO)
        answer = await owner.http.post(
            f"{owner.home}/skills/talk/run", headers={"Idempotency-Key": key.encode("latin-1")}
        )
        assert answer.status_code == 422
        assert [fault["field"] for fault in answer.json()["errors"]] == ["idempotency-key"]


class TestListing:
    async def test_pages_are_newest_first_and_complete(self, owner: Caller) -> None:
        await owner.upload("talk", ECHO)
        started = [await owner.started("talk") for _ in range(5)]
        seen: list[str] = []
        cursor = None
        while True:
            params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await owner.http.get(f"{owner.home}/skills/talk/runs", params=params)).json()
            assert len(page["items"]) <= 2
            seen += [run["run_id"] for run in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == started[::-1]

    async def test_filters(self, owner: Caller) -> None:
        await owner.upload("talk", ECHO)
        await owner.upload("chat", ECHO)
        labelled = (await owner.start("talk", {"label": "quarter 50%"})).json()["run_id"]
        other = await owner.started("chat")

        async def found(**params: str) -> list[str]:
            answer = await owner.http.get(f"{owner.home}/runs", params=params)
            assert answer.status_code == 200, answer.text
            return [run["run_id"] for run in answer.json()["items"]]

        assert await found(q="r 50%") == [labelled]
        assert await found(q="5_%") == []
        assert await found(skill="chat") == [other]
        assert await found(trigger="schedule") == []
        assert await found(since="2026-01-01T00:00:00Z", status="queued") == [other, labelled]
        assert await found(until="2026-01-01T00:00:00Z") == []

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("limit", "0"),
            ("limit", "1001"),
            ("cursor", "zzz"),
            ("cursor", "é" * 10),
            ("status", "finished"),
            ("since", "2026-01"),
            ("since", "0001-01-01T00:00:00+14:00"),
            ("until", "9999-12-31T23:59:59-14:00"),
            ("stats", "queued"),
            ("q", "nul\x00"),
        ],
    )
    async def test_a_bad_parameter_is_named(self, owner: Caller, name: str, value: str) -> None:
        answer = await owner.http.get(f"{owner.home}/runs", params={name: value})
        assert answer.status_code == 422, answer.text
        assert [fault["field"] for fault in answer.json()["errors"]] == [name]

    async def test_an_unknown_parameter_has_a_nearest_right_one(self, owner: Caller) -> None:
        answer = await owner.http.get(f"{owner.home}/runs", params={"stauts": "queued"})
        message = answer.json()["errors"][0]["message"]
        assert message == "unknown parameter; did you mean `status`?"


class TestOneRun:
    async def test_it_is_found_under_its_skill_only(self, owner: Caller) -> None:
        await owner.upload("talk", ECHO)
        await owner.upload("chat", ECHO)
        run_id = await owner.started("talk")
        of_skill = f"{owner.home}/skills/{{}}/runs/{run_id}"
        assert (await owner.http.get(of_skill.format("talk"))).json()["run_id"] == run_id
        assert (await owner.http.get(of_skill.format("chat"))).status_code == 404

    async def test_a_terminated_run_is_seen_at_once(self, site: Site, owner: Caller) -> None:
        await owner.upload("held", HELD)
        await site.work()
        run_id = await owner.started("held")
        await site.kernel.world.arrives("gate")
        await site.kernel.client.get_workflow_handle(run_id).terminate()
        run = await owner.run(run_id)
        assert (run["status"], run["error"]["code"]) == ("failed", "terminated")
        assert run["completed_at"] is not None

    async def test_steps_show_where_it_is(self, site: Site, owner: Caller) -> None:
        await owner.upload("held", HELD)
        await site.work()
        run_id = await owner.started("held")
        await site.kernel.world.arrives("gate")
        run = await eventually(
            lambda: owner.run(run_id), lambda run: len(run["steps"]) == 2 and run["status"]
        )
        assert run["status"] == "running"
        assert {step["path"]: step["status"] for step in run["steps"]} == {
            "first": "succeeded",
            "held": "running",
        }
        site.kernel.world.open.add("gate")
        await owner.ended(run_id)
