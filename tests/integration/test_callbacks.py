"""Another system starts a skill, and is told how the run ended."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks.webhooks import Webhook
from temporalio.common import RetryPolicy

import activities.callbacks
from activities.callbacks import CallbackActivities
from core.callback import MAX_BODY
from core.errors import Unavailable
from outbound import Outbound, Poster
from services.links import Links
from store.callbacks import Callbacks
from store.sealing import Keyring
from store.webhook_secrets import WebhookSecrets
from tests.gateway import ECHO, HELD, Caller, Site
from tests.kernel import KEYS, eventually, until
from tests.receiver import Received, Receiver, reply
from workflows import policies

if TYPE_CHECKING:
    pass

FAILS = """\
steps:
  - id: broken
    compute: watched
    with: {fail: for_good}
    retry: {attempts: 1}
"""
SLOW = """\
timeout: 200ms
steps:
  - id: nap
    wait: 1h
"""
LARGE = """\
inputs:
  word: {type: string}
steps:
  - id: say
    compute: echo
    with: {value: "${inputs.word}"}
"""
SOON = RetryPolicy(
    initial_interval=timedelta(milliseconds=20), maximum_interval=timedelta(milliseconds=20)
)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same tries, one soon after the other."""
    monkeypatch.setitem(policies.DELIVERY, "retry_policy", SOON)
    monkeypatch.setattr(activities.callbacks, "ANSWER_WITHIN", timedelta(seconds=0.3))


class Script:
    """Answers with one after the other; the last one for ever."""

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = list(answers)

    async def __call__(self, _: Received) -> bytes | None:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def taken() -> Receiver:
    return Receiver(Script(reply(204)))


async def trigger(caller: Caller, skill: str, url: str, **more: Any) -> str:
    body = {"workspace_id": caller.workspace, "callback_url": url, **more}
    answer = await caller.http.post(f"/api/webhooks/skills/{skill}/trigger", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "queued"
    return answer.json()["run_id"]


async def told(caller: Caller, run_id: str, status: str = "delivered") -> dict[str, Any]:
    """What the run says of its callback, once that has come to this."""
    run = await eventually(
        lambda: caller.run(run_id), lambda run: run["callback"]["status"] == status
    )
    return run["callback"]


async def secret_of(caller: Caller) -> str:
    answer = await caller.http.get(f"{caller.home}/webhooks/secret")
    assert answer.status_code == 200, answer.text
    return answer.json()["secret"]


def verified(secret: str, received: Received) -> dict[str, Any]:
    """By a library that is not ours; raises where the signature is wrong."""
    return Webhook(secret).verify(received.body, received.headers)


async def test_another_system_starts_a_skill_and_is_told_its_end(site: Site, owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    async with taken() as receiver:
        run_id = await trigger(owner, "talk", receiver.url("/hook"), params={"word": "hi"})
        callback = await told(owner, run_id)
    (received,) = receiver.requests
    assert (received.method, received.target) == ("POST", "/hook")
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == run_id
    said = verified(await secret_of(owner), received)
    run = await owner.run(run_id)
    assert said["type"] == "run.succeeded"
    assert said["timestamp"] == run["completed_at"]
    assert said["data"] == {
        name: run[name]
        for name in (
            *("run_id", "workspace_id", "skill", "label", "status", "lineage", "retry_of"),
            *("output", "error", "token_usage", "cost"),
            *("started_at", "completed_at", "duration_ms"),
        )
    } | {
        "output_omitted": False,
        "links": said["data"]["links"],
    }
    assert said["data"]["output"] == "hi"
    assert said["data"]["links"]["run"] == f"https://perdure.example/api/runs/{run_id}"
    assert run["trigger"] == "webhook"
    assert callback["attempts"] == 1
    assert callback["last_error"] is None
    alias = await owner.http.get(f"/api/webhooks/skills/talk/runs/{run_id}")
    assert alias.json()["callback"] == callback
    other = await owner.http.get(f"/api/webhooks/skills/other/runs/{run_id}")
    assert other.status_code == 404


async def test_an_ordinary_run_calls_back_too_and_without_an_address_nobody_is_told(
    site: Site, owner: Caller
) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    async with taken() as receiver:
        quiet = await owner.started("talk")
        run_id = await owner.started("talk", {"callbackUrl": receiver.url()})
        await told(owner, run_id)
        assert (await owner.ended(quiet))["callback"] is None
    assert [each.headers["webhook-id"] for each in receiver.requests] == [run_id]


async def test_a_receiver_that_is_down_for_five_tries_takes_it_once(
    site: Site, owner: Caller
) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    async with taken() as elsewhere:
        away = Script(
            reply(500),
            reply(404),
            reply(302, location=elsewhere.url()),
            b"",  # hangs up
            None,  # says nothing
            reply(200, b"thanks"),
        )
        async with Receiver(away) as receiver:
            run_id = await trigger(owner, "talk", receiver.url())
            callback = await told(owner, run_id)
    assert callback["attempts"] == 6
    assert len(receiver.requests) == 6
    assert elsewhere.requests == []
    assert {each.headers["webhook-id"] for each in receiver.requests} == {run_id}
    assert len({each.body for each in receiver.requests}) == 1
    secret = await secret_of(owner)
    assert all(verified(secret, each) for each in receiver.requests)


async def test_the_last_error_is_shown_while_it_is_tried(site: Site, owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    async with Receiver(Script(reply(503, b"password of the database"))) as receiver:
        run_id = await trigger(owner, "talk", receiver.url("/a-secret-path"))
        run = await eventually(
            lambda: owner.run(run_id), lambda run: run["callback"]["attempts"] > 1
        )
        assert run["callback"]["status"] == "pending"
        assert run["callback"]["last_error"] == "it answered 503"
        assert run["callback"]["delivered_at"] is None
        await site.kernel.client.get_workflow_handle(f"{run_id}/callback").terminate()


async def test_a_receiver_that_asks_for_time_gets_it(site: Site, owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    async with Receiver(Script(reply(429, retry_after="2"), reply(200))) as receiver:
        run_id = await trigger(owner, "talk", receiver.url())
        await told(owner, run_id)
    first, second = (int(each.headers["webhook-timestamp"]) for each in receiver.requests)
    assert second - first >= 2


async def test_a_receiver_that_is_gone_is_left_alone(site: Site, owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    async with Receiver(Script(reply(410))) as receiver:
        run_id = await trigger(owner, "talk", receiver.url())
        callback = await told(owner, run_id, "gave_up")
    assert len(receiver.requests) == callback["attempts"] == 1
    assert "410" in callback["last_error"]


async def test_a_receiver_that_stays_away_is_given_up(
    site: Site, owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(policies.DELIVERY, "schedule_to_close_timeout", timedelta(seconds=2))
    await owner.upload("talk", ECHO)
    await site.work()
    async with Receiver(Script(reply(500))) as receiver:
        run_id = await trigger(owner, "talk", receiver.url())
        callback = await told(owner, run_id, "gave_up")
    assert callback["attempts"] > 1
    assert callback["last_error"] == "it answered 500"


@pytest.mark.parametrize(
    ("flow", "status"), [(FAILS, "failed"), (SLOW, "timed_out")], ids=["failed", "timed out"]
)
async def test_a_bad_end_is_told_with_its_error(
    site: Site, owner: Caller, flow: str, status: str
) -> None:
    await owner.upload("ends", flow)
    await site.work()
    async with taken() as receiver:
        run_id = await trigger(owner, "ends", receiver.url())
        await told(owner, run_id)
    said = json.loads(receiver.requests[0].body)
    assert said["type"] == f"run.{status}"
    assert said["data"]["status"] == status
    assert said["data"]["error"] == (await owner.run(run_id))["error"] is not None


async def test_a_cancelled_run_is_told(site: Site, owner: Caller) -> None:
    await owner.upload("held", HELD)
    await site.work()
    async with taken() as receiver:
        run_id = await trigger(owner, "held", receiver.url())
        await site.kernel.world.arrives("gate")
        await owner.act(run_id, "cancel")
        await told(owner, run_id)
    assert json.loads(receiver.requests[0].body)["type"] == "run.cancelled"


async def after_rounds(site: Site, owner: Caller, run_id: str) -> dict[str, Any]:
    async def callback() -> Any:
        await site.gateway.reconciler.round()
        return (await owner.run(run_id))["callback"]

    return await eventually(callback, lambda callback: callback["status"] == "delivered")


async def test_a_terminated_run_is_told_by_the_reconciler(site: Site, owner: Caller) -> None:
    await owner.upload("held", HELD)
    await site.work()
    async with taken() as receiver:
        run_id = await trigger(owner, "held", receiver.url())
        await site.kernel.world.arrives("gate")
        await site.kernel.client.get_workflow_handle(run_id).terminate("enough")
        await after_rounds(site, owner, run_id)
    site.kernel.world.open.add("gate")
    (received,) = receiver.requests
    said = json.loads(received.body)
    assert (said["type"], said["data"]["error"]["code"]) == ("run.failed", "terminated")


async def test_a_run_that_never_began_is_told(
    site: Site, owner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await owner.upload("talk", ECHO)
    await site.work()

    async def crash(*_: Any) -> None:
        raise ConnectionResetError

    async with taken() as receiver:
        with monkeypatch.context() as patch:
            patch.setattr("services.starter.Starter.start", crash)
            await owner.start("talk", {"callback_url": receiver.url()})
        (left,) = (await owner.http.get(f"{owner.home}/runs")).json()["items"]
        await site.kernel.pool.execute(
            "UPDATE runs SET created_at = created_at - interval '2 minutes' WHERE run_id = $1",
            left["run_id"],
        )
        await after_rounds(site, owner, left["run_id"])
    said = json.loads(receiver.requests[0].body)
    assert said["data"]["error"]["code"] == "never_started"


class Away:
    async def start(self, _: object) -> None:
        raise Unavailable("Temporal does not answer")


async def test_what_the_worker_could_not_begin_the_reconciler_does(
    site: Site, owner: Caller
) -> None:
    await owner.upload("talk", ECHO)
    kernel = replace(site.kernel, parts=replace(site.kernel.parts, callbacks=Away()))
    async with taken() as receiver, kernel.worker():
        run_id = await trigger(owner, "talk", receiver.url())
        assert (await owner.ended(run_id))["callback"]["status"] == "pending"
        await after_rounds(site, owner, run_id)
        await site.gateway.reconciler.round()
    assert len(receiver.requests) == 1


REFUSED = {
    "http://hooks.example.com/": "expected https",
    "https://127.0.0.1:8233/": "belongs to Perdure itself",
    "https://127.0.0.2/": "not on the public internet",
    "https://10.1.2.3/": "not on the public internet",
    "https://169.254.169.254/latest": "not on the public internet",
    "https://[::1]/": "not on the public internet",
    "https://localhost/": "not on the public internet",
    "https://2130706433/": "unusual spelling",
    "https://ada:pw@hooks.example.com/": "credentials do not belong into a URL",
    "hooks.example.com": "expected an absolute http or https URL",
    "ftp://hooks.example.com/": "expected an absolute http or https URL",
    f"https://hooks.example.com/{'x' * 3000}": "expected at most 2,048 characters",
}


@pytest.mark.parametrize("url", REFUSED, ids=lambda url: url[:40])
async def test_an_address_that_nobody_may_reach_is_refused_at_the_door(
    owner: Caller, url: str
) -> None:
    await owner.upload("talk", ECHO)
    body = {"workspace_id": owner.workspace, "callback_url": url}
    for answer in (
        await owner.http.post("/api/webhooks/skills/talk/trigger", json=body),
        await owner.start("talk", {"callback_url": url}),
    ):
        assert answer.status_code == 422
        (fault,) = answer.json()["errors"]
        assert fault["field"] == "callback_url"
        assert REFUSED[url] in fault["message"]
        assert "pw" not in answer.text
    assert (await owner.http.get(f"{owner.home}/runs")).json()["items"] == []


async def test_the_address_is_checked_again_when_it_is_connected_to(
    site: Site, owner: Caller
) -> None:
    """As when a name led somewhere public at the door, and leads to this machine now."""
    await owner.upload("talk", ECHO)
    kernel, keyring = site.kernel, Keyring(KEYS)
    async with taken() as receiver, Outbound() as strict:
        callbacks = CallbackActivities(
            Callbacks(kernel.pool, keyring),
            kernel.runs,
            WebhookSecrets(kernel.pool, keyring),
            Links("perdure"),
            Poster(strict),
        )
        async with replace(kernel, callbacks=callbacks).worker():
            run_id = await trigger(owner, "talk", receiver.url())
            run = await eventually(
                lambda: owner.run(run_id), lambda run: run["callback"]["attempts"] > 1
            )
            assert "not on the public internet" in run["callback"]["last_error"]
            await kernel.client.get_workflow_handle(f"{run_id}/callback").terminate()
    assert receiver.requests == []


async def test_a_retry_calls_back_where_its_run_did_unless_told_otherwise(
    site: Site, owner: Caller
) -> None:
    await owner.upload("ends", FAILS)
    await site.work()
    async with taken() as receiver, taken() as another:
        first = await trigger(owner, "ends", receiver.url())
        await told(owner, first)
        again = (await owner.act(first, "retry")).json()["run_id"]
        await told(owner, again)
        quiet = (await owner.act(first, "retry", callback_url=None)).json()["run_id"]
        assert (await owner.ended(quiet))["callback"] is None
        moved = (await owner.act(first, "retry", callback_url=another.url())).json()["run_id"]
        await told(owner, moved)
        refused = await owner.act(first, "retry", callback_url="http://hooks.example.com/")
        assert refused.json()["errors"][0]["field"] == "callback_url"
    assert [each.headers["webhook-id"] for each in receiver.requests] == [first, again]
    data = json.loads(receiver.requests[1].body)["data"]
    assert (data["lineage"], data["retry_of"]) == (first, first)
    assert [each.headers["webhook-id"] for each in another.requests] == [moved]


async def test_the_same_request_is_triggered_and_told_once(site: Site, owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    async with taken() as receiver:
        body = {"workspace_id": owner.workspace, "callback_url": receiver.url()}

        async def ask(**more: Any) -> Any:
            headers = {"Idempotency-Key": "monday"}
            path = "/api/webhooks/skills/talk/trigger"
            return await owner.http.post(path, json={**body, **more}, headers=headers)

        first = (await ask()).json()["run_id"]
        await told(owner, first)
        assert (await ask()).json()["run_id"] == first
        reused = await ask(callback_url=receiver.url("/elsewhere"))
        assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")
    assert len(receiver.requests) == 1


async def test_wrong_parameters_are_named_as_they_were_sent(owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    body = {"workspaceId": owner.workspace, "params": {"wort": "hi"}}
    answer = await owner.http.post("/api/webhooks/skills/talk/trigger", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "params.wort", "message": "unknown input; did you mean `word`?"}
    ]


async def test_another_tenant_can_neither_trigger_nor_see_nor_sign(
    site: Site, owner: Caller
) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    stranger = await site.with_scopes(workspace=await site.new_workspace())
    async with taken() as receiver:
        run_id = await trigger(owner, "talk", receiver.url())
        await told(owner, run_id)
        body = {"workspace_id": owner.workspace, "callback_url": receiver.url()}
        for refused in (
            await stranger.http.post("/api/webhooks/skills/talk/trigger", json=body),
            await stranger.http.get(f"/api/webhooks/skills/talk/runs/{run_id}"),
            await stranger.http.get(f"{owner.home}/webhooks/secret"),
            await stranger.http.post(f"{owner.home}/webhooks/secret"),
            await stranger.act(run_id, "retry", callback_url=receiver.url()),
        ):
            assert refused.status_code == 404
    assert await secret_of(stranger) != await secret_of(owner)
    assert len(receiver.requests) == 1
    callbacks = Callbacks(site.kernel.pool, Keyring(KEYS))
    assert await callbacks.find(run_id, stranger.workspace) is None
    assert await callbacks.url(run_id, stranger.workspace) is None


async def test_what_is_wanted_is_a_key_with_the_scope(site: Site, owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    reader, runner = await site.with_scopes("read"), await site.with_scopes("read", "run")
    body = {"workspace_id": owner.workspace}
    refused = await reader.http.post("/api/webhooks/skills/talk/trigger", json=body)
    assert refused.status_code == 403
    assert (await runner.http.get(f"{owner.home}/webhooks/secret")).status_code == 403


async def test_for_a_day_the_secret_before_the_rotation_is_good_too(
    site: Site, owner: Caller
) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    old = await secret_of(owner)
    assert await secret_of(owner) == old
    rotated = (await owner.http.post(f"{owner.home}/webhooks/secret")).json()
    assert rotated["secret"] == await secret_of(owner) != old
    async with taken() as receiver:
        await told(owner, await trigger(owner, "talk", receiver.url()))
        assert verified(old, receiver.requests[0]) == verified(
            rotated["secret"], receiver.requests[0]
        )
        await site.kernel.pool.execute(
            "UPDATE webhook_secrets SET created_at = created_at - interval '24 hours'"
            " WHERE workspace_id = $1",
            owner.workspace,
        )
        await told(owner, await trigger(owner, "talk", receiver.url()))
    assert len(receiver.requests[1].headers["webhook-signature"].split()) == 1
    assert verified(rotated["secret"], receiver.requests[1])


async def test_an_output_that_is_too_long_is_left_out_and_pointed_to(
    site: Site, owner: Caller
) -> None:
    await owner.upload("large", LARGE)
    await site.work()
    async with taken() as receiver:
        run_id = await trigger(owner, "large", receiver.url(), params={"word": "x" * MAX_BODY})
        await told(owner, run_id)
    (received,) = receiver.requests
    assert len(received.body) < MAX_BODY
    data = verified(await secret_of(owner), received)["data"]
    assert (data["output"], data["output_omitted"]) == (None, True)
    assert data["links"]["run"].endswith(f"/api/runs/{run_id}")


async def test_neither_address_nor_secret_is_readable_in_the_database(
    site: Site, owner: Caller
) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    async with Receiver(Script(reply(410))) as receiver:
        run_id = await trigger(owner, "talk", receiver.url("/a-secret-path"))
        await told(owner, run_id, "gave_up")
    row = await site.kernel.pool.fetchrow("SELECT * FROM callbacks WHERE run_id = $1", run_id)
    assert b"a-secret-path" not in row["url"]
    assert b"410" not in row["last_error"]


async def test_a_delivery_that_was_terminated_is_given_up_in_the_end(
    site: Site, owner: Caller
) -> None:
    await owner.upload("talk", ECHO)
    await site.work()
    async with Receiver(Script(reply(500))) as receiver:
        run_id = await trigger(owner, "talk", receiver.url())
        await until(lambda: bool(receiver.requests))
        await site.kernel.client.get_workflow_handle(f"{run_id}/callback").terminate()
    await site.gateway.reconciler.round()
    assert (await owner.run(run_id))["callback"]["status"] == "pending"
    await site.kernel.pool.execute(
        "UPDATE callbacks SET started_at = started_at - interval '6 days' WHERE run_id = $1",
        run_id,
    )
    await site.gateway.reconciler.round()
    assert (await owner.run(run_id))["callback"]["status"] == "gave_up"
