"""A step that tells people in Slack: once, within Slack's rules, and never where it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from activities import notify
from core.errors import Unavailable
from services.report_tokens import ReportTokens
from store.reports import Reports
from store.sealing import Keyring
from tests.kernel import KEYS, Kernel
from tests.receiver import reply
from tests.slack import Slack
from tests.unit.test_render_slack import report
from tests.workflow.flows import QUICK, flow, watched
from tests.workflow.saying import Saying

SECRET = "slack_webhook_url"
PATIENT = {"attempts": 3, "backoff": "10ms"}


def tell(message: Any = "Hello", **more: Any) -> dict[str, Any]:
    return {"kind": "notify", "id": "tell", "channel": "slack", "message": message, **more}


@asynccontextmanager
async def slack(kernel: Kernel, *answers: bytes) -> AsyncIterator[Slack]:
    """Whose webhook is this workspace's."""
    async with Slack(*answers) as slack:
        await kernel.parts.secrets.put(kernel.workspace.id, SECRET, slack.webhook, ["127.0.0.1"])
        yield slack


async def ended(kernel: Kernel, *steps: dict[str, Any], **origin: Any) -> WorkflowHandle[Any, Any]:
    handle = await kernel.start(flow(*steps), **origin)
    with suppress(WorkflowFailureError):
        await handle.result()
    return handle


async def failure(kernel: Kernel, *steps: dict[str, Any]) -> tuple[str, int | None]:
    run = await kernel.row(await ended(kernel, *steps))
    assert run.error is not None
    return run.error.code, run.error.attempts


async def test_a_report_of_400_findings_is_one_message_that_leads_to_all_of_them(
    kernel: Kernel,
) -> None:
    given = report(400).model_dump(mode="json")
    async with kernel.worker(), slack(kernel) as receiver:
        handle = await kernel.start(flow(watched("report", given), tell("${steps.report}")))
        answer = await handle.result()
    assert receiver.refused == []
    [message] = receiver.posted
    assert answer == {
        "posted": True,
        "channel": "slack",
        "blocks": len(message["blocks"]),
        "folded": 370,
    }
    [button] = message["blocks"][-1]["elements"]
    address, _, token = button["url"].partition("?token=")
    assert address == f"https://perdure.example/api/runs/{handle.id}/report"
    ReportTokens(KEYS.values()).check(token, handle.id)
    assert message["text"].startswith("Pipeline hygiene – 400 findings: 133 high")


async def test_a_text_is_posted_as_it_is(kernel: Kernel) -> None:
    async with kernel.worker(), slack(kernel) as receiver:
        await ended(kernel, watched("n", 3), tell("${steps.n} deals <!channel>"))
    assert receiver.posted == [{"text": "3 deals &lt;!channel&gt;"}]


async def test_without_a_webhook_the_step_succeeds_and_says_why_nothing_was_posted(
    kernel: Kernel,
) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(tell()))
        answer = await handle.result()
    reason = "the workspace has no secret `slack_webhook_url`"
    assert answer == {"posted": False, "channel": "slack", "reason": reason}


async def test_the_webhook_of_another_workspace_is_not_used(kernel: Kernel) -> None:
    await kernel.pool.execute("INSERT INTO workspaces (id, name) VALUES ('other', 'Other')")
    async with kernel.worker(), Slack() as receiver:
        await kernel.parts.secrets.put("other", SECRET, receiver.webhook, ["127.0.0.1"])
        answer = await (await kernel.start(flow(tell()))).result()
    assert answer["posted"] is False
    assert receiver.requests == []


async def test_a_dry_run_says_what_it_would_post_and_posts_nothing(kernel: Kernel) -> None:
    async with kernel.worker(), slack(kernel) as receiver:
        handle = await kernel.start(flow(tell({"a": 1})), mode="dry")
        answer = await handle.result()
    assert answer == {
        "posted": False,
        "channel": "slack",
        "dry_run": True,
        "blocks": 4,
        "folded": 0,
    }
    assert receiver.requests == []


async def test_slack_that_is_busy_is_asked_again_when_it_says_and_posts_once(
    kernel: Kernel,
) -> None:
    busy = reply(429, b"rate_limited", retry_after="1")
    async with kernel.worker(), slack(kernel, busy) as receiver:
        started = asyncio.get_running_loop().time()
        await ended(kernel, tell(retry=PATIENT))
        took = asyncio.get_running_loop().time() - started
    assert len(receiver.requests) == 2
    assert len(receiver.posted) == 1
    assert took >= 1


async def test_slack_that_is_down_is_asked_again(kernel: Kernel) -> None:
    answers = (reply(500, b"rollup_error"), reply(503, b"<html>"))
    async with kernel.worker(), slack(kernel, *answers) as receiver:
        await ended(kernel, tell(retry=PATIENT))
    assert len(receiver.posted) == 1


@pytest.mark.parametrize(
    ("status", "word", "code"),
    [
        (404, "no_service", "webhook_gone"),
        (403, "invalid_token", "webhook_gone"),
        (410, "channel_is_archived", "channel_closed"),
        (400, "invalid_blocks", "message_refused"),
        (302, "", "message_refused"),
    ],
)
async def test_what_no_try_can_mend_has_a_name_and_is_tried_once(
    kernel: Kernel, status: int, word: str, code: str
) -> None:
    async with kernel.worker(), slack(kernel, reply(status, word.encode())) as receiver:
        assert await failure(kernel, tell()) == (code, 1)
    assert len(receiver.requests) == 1


async def test_what_is_never_delivered_fails_after_its_attempts(kernel: Kernel) -> None:
    async with kernel.worker(), slack(kernel, *[reply(500, b"rollup_error")] * 3):
        assert await failure(kernel, tell(retry=QUICK)) == ("notify_failed", 3)


@pytest.mark.parametrize(
    ("url", "hosts", "code"),
    [
        ("https://hooks.slack.com/services/T/B/unguessable", [], "secret_not_allowed"),
        ("http://127.0.0.1:8233/services/unguessable", ["127.0.0.1"], "address_refused"),
        ("http://10.0.0.1/services/unguessable", ["10.0.0.1"], "address_refused"),
        ("not an address unguessable", ["127.0.0.1"], "notify_failed"),
    ],
)
async def test_the_secret_goes_where_it_may_and_is_not_told(
    kernel: Kernel, caplog: pytest.LogCaptureFixture, url: str, hosts: list[str], code: str
) -> None:
    await kernel.parts.secrets.put(kernel.workspace.id, SECRET, url, hosts)
    async with kernel.worker():
        handle = await ended(kernel, tell(retry=QUICK))
        run = await kernel.row(handle)
    assert run.error is not None
    assert run.error.code == code
    history = await handle.fetch_history()
    told = [run.model_dump_json(), caplog.text]
    for event in history.events:
        failed = event.activity_task_failed_event_attributes.failure
        if failed.message:
            await kernel.client.data_converter.decode_failure(failed)
            told.append(str(failed))
    assert not any("unguessable" in each for each in told)


async def test_an_activity_that_is_tried_again_after_it_posted_does_not_post_again(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = notify.NotifyActivities._once
    tries: list[int] = []

    async def lost(self: notify.NotifyActivities, request: Any) -> Any:
        answer = await told(self, request)
        tries.append(1)
        if len(tries) == 1:
            raise Unavailable("the worker's answer was lost")
        return answer

    monkeypatch.setattr(notify.NotifyActivities, "_once", lost)
    async with kernel.worker(), slack(kernel) as receiver:
        handle = await kernel.start(flow(tell({"a": 1}, retry=PATIENT)))
        answer = await handle.result()
    assert len(tries) == 2
    assert len(receiver.posted) == 1
    assert answer["posted"] is True


async def test_postgres_away_after_the_post_is_waited_for(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "ASK_AGAIN_AFTER_SECONDS", 0.01)
    keep = kernel.notices._deliveries.keep
    tries: list[int] = []

    async def away(*row: Any) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise Unavailable("Postgres is away")
        await keep(*row)

    monkeypatch.setattr(kernel.notices._deliveries, "keep", away)
    async with kernel.worker(), slack(kernel) as receiver:
        await ended(kernel, tell())
    assert len(tries) == 3
    assert len(receiver.posted) == 1
    assert await kernel.pool.fetchval("SELECT count(*) FROM deliveries") == 1


async def test_a_retry_of_the_run_posts_what_failed_and_nothing_twice(kernel: Kernel) -> None:
    steps = (tell("first", id="one"), watched("bad", fail="for_good"), tell("second", id="two"))
    async with kernel.worker(), slack(kernel) as receiver:
        old = await ended(kernel, *steps)
        kernel.world.mended = True
        new = await ended(kernel, *steps, given_by=old.id, lineage=old.id, trigger="retry")
        run = await kernel.row(new)
    assert run.status == "succeeded"
    assert [message["text"] for message in receiver.posted] == ["first", "second"]


async def test_each_item_is_told_and_a_failure_may_be_gone_on_from(kernel: Kernel) -> None:
    each = tell("${item}", for_each=["a", "b", "c"], concurrency=1, on_error="continue")
    gone = (reply(404, b"no_service"),)
    async with kernel.worker(), slack(kernel, *gone) as receiver:
        handle = await kernel.start(flow(each))
        answers = await handle.result()
    assert [message["text"] for message in receiver.posted] == ["b", "c"]
    assert answers[0] is None


async def test_a_skill_in_python_tells_people_too(kernel: Kernel) -> None:
    async with kernel.worker(Saying), slack(kernel) as receiver:
        handle = await kernel.start_type("saying", {"message": "by hand"})
        answer = await handle.result()
    assert answer["posted"] is True
    assert [message["text"] for message in receiver.posted] == ["by hand"]


async def test_the_log_shows_where_people_were_told(kernel: Kernel) -> None:
    async with kernel.worker(), slack(kernel):
        handle = await ended(kernel, watched("a", 1), tell({"a": 1}))
        run = await kernel.row(handle)
        events, _ = await kernel.histories.page(run, None, 50, None)
    told = [(event.kind, event.data) for event in events if event.step == "tell"]
    assert [kind for kind, _ in told] == ["step.started", "step.finished"]
    assert told[0][1] == {"kind": "notify", "channel": "slack"}
    assert told[1][1]["output"]["posted"] is True


async def test_a_message_that_the_demo_model_had_a_part_in_says_so(kernel: Kernel) -> None:
    async with kernel.worker(), slack(kernel) as receiver:
        handle = await kernel.start(flow(watched("a", hold="gate"), tell("news")))
        await kernel.world.arrives("gate")
        await kernel.pool.execute(
            """
            INSERT INTO llm_calls (workspace_id, call_key, request_hash, run_id, lineage, path,
                turn, attempt, skill, model, key_source, period, reserved, reserved_at)
            VALUES ($1, 'k', 'h', $2, $2, 'p', 0, 1, 's', 'demo/small', 'platform', now(), 1, now())
            """,
            kernel.workspace.id,
            handle.id,
        )
        kernel.world.open.add("gate")
        await handle.result()
        reports = Reports(kernel.pool, Keyring(KEYS))
        assert not await reports.by_demo("another workspace", handle.id)
    [message] = receiver.posted
    assert "demo model" in str(message["blocks"])
