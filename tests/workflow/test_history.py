"""The log of real runs: live, afterwards, in pages, and from the archive."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from core.effects import DECIDE, PAUSE, RESUME
from core.errors import HistoryGone, NotFound, RunNotEnded, Unavailable
from core.event import LogEvent
from core.run import Run
from services import history
from store.attempts import AttemptNote, Attempts
from store.sealing import Keyring
from tests.kernel import KEYS, Kernel
from tests.workflow.flows import QUICK, flow, watched

BY = {"actor": {"kind": "user", "id": "tester"}}


async def followed(kernel: Kernel, handle: WorkflowHandle[Any, Any]) -> list[LogEvent]:
    return [event async for event, _ in kernel.histories.follow(handle.id)]


async def closed(kernel: Kernel, handle: WorkflowHandle[Any, Any]) -> Run:
    with suppress(WorkflowFailureError):
        await handle.result()
    return await kernel.ended(handle)


def told(events: list[LogEvent]) -> list[str]:
    return [f"{event.kind} {event.step}" if event.step else event.kind for event in events]


async def test_the_log_of_a_run_tells_what_happened(kernel: Kernel) -> None:
    body = flow(
        {"kind": "set", "id": "limit", "values": {"n": 2}},
        watched("fetch", {"deals": [1, 2]}, fail="now", times=1, retry=QUICK),
        watched("never", when="false"),
        watched("each", "${item}", for_each="${steps.fetch.deals}", concurrency=1),
        {"kind": "wait", "id": "nap", "length": "50ms"},
        output="${steps.each}",
        has_output=True,
    )
    async with kernel.worker():
        handle = await kernel.start(body)
        live = asyncio.create_task(followed(kernel, handle))
        run = await closed(kernel, handle)
        events = await live
    log = await kernel.histories.log(run)

    assert told(log) == [
        "run.started",
        "step.finished limit",
        "step.started fetch",
        "step.retrying fetch",
        "step.finished fetch",
        "step.skipped never",
        "step.started each[0]",
        "step.finished each[0]",
        "step.started each[1]",
        "step.finished each[1]",
        "step.started nap",
        "step.finished nap",
        "step.finished each",
        "run.succeeded",
    ]
    assert {event.id: event for event in events} == {event.id: event for event in log}
    assert len(events) == len(log)
    assert log[0].data["actor"] == BY["actor"]
    assert log[3].data["message"] == "fetch fails for now"
    assert log[4].data["output"] == {"deals": [1, 2]}
    assert log[4].attempt == 2
    assert log[-1].data["output"] == [1, 2]
    steps = {
        step.path: (step.status, step.attempts)
        for step in (await kernel.histories.steps(run)).views()
    }
    assert steps["fetch"] == ("succeeded", 2)
    assert steps["never"] == ("skipped", 1)
    assert steps["each[1]"] == ("succeeded", 1)
    outcome = await kernel.histories.outcome(run.run_id)
    assert outcome is not None
    assert (outcome.status, outcome.output) == ("succeeded", [1, 2])


async def test_a_log_reads_the_same_by_pages_and_from_the_archive(kernel: Kernel) -> None:
    async with kernel.worker():
        body = flow(*(watched(f"s{n}", n, fail="now", times=1, retry=QUICK) for n in range(3)))
        run = await closed(kernel, await kernel.start(body))
    log = await kernel.histories.log(run)

    for _ in ("from the history", "from the archive"):
        streamed = [event async for event, _ in kernel.histories.stream(run)]
        assert streamed == log
        paged: list[LogEvent] = []
        cursor: str | None = None
        while True:
            events, cursor = await kernel.histories.page(run, cursor, 2)
            paged += events
            if cursor is None:
                break
        assert paged == log
        lines = [event.model_dump(mode="json") for event in log]
        await kernel.runs.archive(run.run_id, run.workspace_id, lines)


async def test_retries_are_told_while_they_are_pending(kernel: Kernel) -> None:
    slow = {"attempts": 3, "backoff": "1h"}
    async with kernel.worker():
        handle = await kernel.start(flow(watched("call", fail="now", retry=slow)))
        heard: list[tuple[LogEvent, str]] = []
        async with aclosing(kernel.histories.follow(handle.id)) as entries:
            async for entry in entries:
                heard.append(entry)
                if entry[0].kind == "step.retrying":
                    break
        live = [event for event, _ in heard]
        run = await kernel.row(handle)
        now, _ = await kernel.histories.page(run, None, 50)
        (step,) = (await kernel.histories.steps(run)).views()
        await handle.terminate(reason="enough")
        cursor = heard[-1][1]
        rest = [event async for event, _ in kernel.histories.follow(handle.id, cursor)]
    log = await kernel.histories.log(run)

    assert now == live
    assert (step.status, step.attempts) == ("retrying", 2)
    assert told(live) == ["run.started", "step.started call", "step.retrying call"]
    assert told(rest) == ["step.cancelled call", "run.failed"]
    assert log == live + rest
    assert rest[-1].data["code"] == "terminated"
    assert rest[-1].data["message"] == "enough"


async def test_pause_approval_and_cancel_are_told_with_who_did_it(kernel: Kernel) -> None:
    ask = {"kind": "approve", "id": "ask", "message": "Go on?"}
    async with kernel.worker():
        handle = await kernel.start(flow(ask, watched("hold", hold="gate")))
        await kernel.status(handle, "waiting")
        await handle.signal(PAUSE, BY)
        await kernel.status(handle, "paused")
        await handle.signal(RESUME, BY)
        await kernel.status(handle, "waiting")
        verdict = {"verdict": "approved", "step": None, "comment": "go", **BY}
        await handle.execute_update(DECIDE, verdict)
        await kernel.world.arrives("gate")
        await handle.cancel(reason="user:tester")
        run = await closed(kernel, handle)
    log = await kernel.histories.log(run)

    assert told(log) == [
        "run.started",
        "step.started ask",
        "run.waiting",
        "run.paused",
        "run.resumed",
        "run.waiting",
        "approval.decided ask",
        "step.finished ask",
        "step.started hold",
        "run.running",
        "run.cancel_requested",
        "step.cancelled hold",
        "run.cancelled",
    ]
    by_kind = {event.kind: event.data for event in log}
    assert by_kind["run.paused"] == by_kind["run.resumed"] == BY
    assert by_kind["approval.decided"] == {"verdict": "approved", "comment": "go", **BY}
    assert by_kind["run.cancel_requested"] == BY


async def test_a_failed_run_names_its_step_in_the_log_and_in_the_outcome(kernel: Kernel) -> None:
    async with kernel.worker():
        run = await closed(kernel, await kernel.start(flow(watched("call", fail="for_good"))))
    *_, step, ending = await kernel.histories.log(run)
    outcome = await kernel.histories.outcome(run.run_id)

    assert (step.kind, step.data["code"]) == ("step.failed", "http_failed")
    assert (ending.kind, ending.step) == ("run.failed", "call")
    assert outcome is not None
    assert outcome.error == run.error
    assert "Traceback" not in str(ending.data)


async def test_a_run_that_took_too_long_timed_out(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("call", hold="gate"), timeout="100ms"))
        run = await closed(kernel, handle)
    log = await kernel.histories.log(run)
    outcome = await kernel.histories.outcome(run.run_id)

    assert told(log)[-2:] == ["step.cancelled call", "run.timed_out"]
    assert outcome is not None
    assert outcome.status == run.status == "timed_out"


async def test_batches_are_lines_that_open_into_logs_of_their_own(kernel: Kernel) -> None:
    noted = {"kind": "set", "id": "note", "values": {"seen": "${item}"}}
    inside = {"for_each": "${inputs.items}", "steps": [watched("use", "${item}"), noted]}
    each = {"kind": "steps", "id": "each", "concurrency": 100, **inside}
    async with kernel.worker():
        run = await closed(kernel, await kernel.start(flow(each), {"items": list(range(600))}))
    log = await kernel.histories.log(run)
    begins, cursor = await kernel.histories.page(run, None, 150, step="each[500..599]")
    rest, end = await kernel.histories.page(run, cursor, 1_000, step="each[500..599]")

    lines = [event for event in log if event.kind == "step.finished" and event.step != "each"]
    assert {event.step: event.data["items"] for event in lines} == {
        "each[0..499]": 500,
        "each[500..599]": 100,
    }
    assert end is None
    opened = told(begins + rest)
    assert opened[0] == "step.started each[500..599]"
    assert opened[-1] == "step.finished each[500..599]"
    items = [f"each[{n}]" for n in range(500, 600)]
    steps = [f"{item}.{step}" for item in items for step in ("use", "note")]
    assert {f"step.finished {step}" for step in steps} == {
        line for line in opened[:-1] if line.startswith("step.finished")
    }
    assert len(opened) == 2 + 3 * len(items)
    for unknown in ("each[7..9]", "each", "x" * 2_000, f"{'x' * 2_000}[0..1]"):
        with pytest.raises(NotFound):
            await kernel.histories.page(run, None, 10, step=unknown)


async def test_a_run_that_nobody_has_begun_has_no_log(kernel: Kernel) -> None:
    handle = await kernel.start(flow(watched("a")))
    row = await kernel.row(handle)
    assert await kernel.histories.outcome(handle.id) is None
    with pytest.raises(RunNotEnded):
        await kernel.histories.log(row)
    await handle.terminate()
    unknown = row.model_copy(update={"run_id": "no-such-run"})
    assert await kernel.histories.page(unknown, None, 10) == ([], None)
    assert (await kernel.histories.steps(unknown)).views() == ()
    began = unknown.model_copy(update={"started_at": row.created_at})
    with pytest.raises(HistoryGone):
        await kernel.histories.page(began, None, 10)
    with pytest.raises(NotFound):
        await kernel.histories.outcome("no-such-run")


async def test_a_stream_goes_on_when_only_the_row_says_that_the_run_ended(kernel: Kernel) -> None:
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", 1, hold="gate")))
        await kernel.world.arrives("gate")
        early = (await kernel.row(handle)).model_copy(update={"status": "succeeded"})
        heard: list[str] = []
        async for event, _ in kernel.histories.stream(early):
            heard.append(event.kind)
            kernel.world.open.add("gate")

    assert heard[-1] == "run.succeeded"


class AwayAtFirst:
    """Postgres, back at the third time of asking."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self.asked = 0

    async def list_for(self, run_id: str) -> list[AttemptNote]:
        self.asked += 1
        if self.asked < 3:
            raise Unavailable("Postgres does not answer")
        return await self._attempts.list_for(run_id)


async def test_a_live_reader_waits_until_postgres_is_back(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "RECONNECT_AFTER", timedelta(milliseconds=10))
    away = AwayAtFirst(Attempts(kernel.pool, Keyring(KEYS)))
    histories = history.Histories(kernel.client, away, kernel.runs)
    async with kernel.worker():
        handle = await kernel.start(flow(watched("a", fail="now", times=1, retry=QUICK)))
        heard = [event async for event, _ in histories.follow(handle.id)]
        run = await kernel.ended(handle)

    assert away.asked >= 3
    assert heard == await kernel.histories.log(run)
