"""One run of each kind, so that changed workflow code can be held against how it was.

`python -m tests.contract.scenarios` records those that have no history yet; a scenario whose run
is meant to change gets a new name, and the old history stays as long as such runs may be open.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowHistory

from core.callback import CallbackRequest
from core.connector import FilesConfig
from core.effects import (
    DECIDE,
    PAUSE,
    RESUME,
    WAKE,
    ChildReady,
    ChildRequest,
    ModelReply,
    ModelRequest,
)
from core.errors import BudgetExceeded
from core.flow import Flow
from core.run import RunOrigin
from core.sync import SYNC, SyncInput
from core.tool import Actor
from services.callbacks import CallbackStarter
from store.pool import open_pool
from store.runs import NewRun
from store.schema import migrate
from store.source_files import SourceFiles
from store.sources import Sources
from tests.kernel import Kernel, open_kernel, with_children
from tests.receiver import Received, Receiver, reply
from tests.servers import Servers
from tests.talk import Said, Talk, says
from tests.workflow.continuing import Continuing
from tests.workflow.flows import QUICK, flow, watched
from tests.workflow.telling import Telling
from worker import python_skills

FOLDER = Path(__file__).parent / "histories"
MACHINE = re.compile(r"\d+@[\w.-]+?(?=-[0-9a-f]{32}|\")")  # who worked matters to nobody
BY = {"actor": {"kind": "user", "id": "tester"}}
Handle = WorkflowHandle[Any, Any]


async def every_step(kernel: Kernel) -> Handle:
    steps = flow(
        {"kind": "set", "id": "start", "values": {"base": "${inputs.n}"}},
        watched("skipped", when="vars.base > 100"),
        watched("each", "${item + vars.base}", for_each="${inputs.items}", concurrency=2),
        {
            "kind": "parallel",
            "id": "both",
            "branches": {
                "left": [watched("left", "${size(steps.each)}")],
                "right": [{"kind": "wait", "id": "nap", "length": "10ms"}, watched("right")],
            },
        },
        watched(
            "broken",
            fail="for_good",
            on_error={"steps": [watched("mended", "${errors.broken.code}")]},
        ),
        {
            "kind": "steps",
            "id": "group",
            "retry": QUICK,
            "steps": [watched("inner", fail="now", times=1, retry=QUICK)],
        },
        output={"each": "${steps.each}", "mended": "${steps.broken}"},
        has_output=True,
    )
    return await kernel.start(steps, {"n": 5, "items": [1, 2, 3]})


async def approved(kernel: Kernel) -> Handle:
    step = {"kind": "approve", "id": "ok", "message": "Go on?", "timeout": "1h"}
    handle = await kernel.start(flow(step, watched("after", "${steps.ok.by.id}")))
    await kernel.status(handle, "waiting")
    await handle.execute_update(DECIDE, {"verdict": "approved", **BY})
    return handle


async def paused(kernel: Kernel) -> Handle:
    handle = await kernel.start(flow(watched("a", hold="gate"), watched("b")))
    await kernel.world.arrives("gate")
    await handle.signal(PAUSE, BY)
    await kernel.status(handle, "paused")
    kernel.world.open.add("gate")
    await handle.signal(RESUME, BY)
    return handle


async def failed(kernel: Kernel) -> Handle:
    return await kernel.start(flow(watched("a"), watched("b", fail="for_good"), watched("c")))


async def cancelled(kernel: Kernel) -> Handle:
    handle = await kernel.start(flow(watched("a"), watched("b", hold="never")))
    await kernel.world.arrives("never")
    await handle.cancel()
    return handle


async def timed_out(kernel: Kernel) -> Handle:
    return await kernel.start(flow(watched("a", hold="never"), timeout="200ms"))


async def retried(kernel: Kernel) -> Handle:
    step = watched("each", "${item}", for_each="${range(6)}", concurrency=1)
    step["arguments"]["fail"] = "${item == 3 ? 'for_good' : null}"
    first = await kernel.start(flow(watched("a", 1), step))
    await kernel.ended(first)
    kernel.world.mended = True
    again = {"given_by": first.id, "lineage": first.id, "trigger": "retry"}
    return await kernel.start(flow(watched("a", 1), step), **again)


async def batched(kernel: Kernel) -> Handle:
    return await kernel.start(
        flow(watched("each", "${item + inputs.n}", for_each="${range(210)}", concurrency=30)),
        {"n": 1},
    )


async def parent(kernel: Kernel) -> Handle:
    step = {"kind": "skill", "id": "call", "skill": "child", "inputs": {"n": "${inputs.n}"}}
    return await kernel.start(flow(step, watched("after", "${steps.call}")), {"n": 2})


async def python_skill(kernel: Kernel) -> Handle:
    return await kernel.start_type(
        "wait-for-page", {"url": "https://example.com", "every_seconds": 1, "give_up_after": 3}
    )


async def continued(kernel: Kernel) -> Handle:
    return await kernel.start_type("continuing", {"parts": 2, "fails": 0})


async def models(kernel: Kernel) -> Handle:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    reads = {"kind": "extract", "id": "read", "prompt": "Read.", "output_schema": schema}
    sorts = {
        "kind": "classify",
        "id": "sort",
        "prompt": "${item}",
        "labels": {"a": None, "b": None},
    }
    thinks = {"kind": "reason", "id": "think", "prompt": "Why ${steps.read.n}?", "tools": ["*"]}
    writes = {"kind": "generate", "id": "write", "prompt": "${steps.think}"}
    return await kernel.start(flow(reads, {**sorts, "for_each": ["x", "y"]}, thinks, writes))


async def short_of_budget(kernel: Kernel) -> Handle:
    step = {"kind": "generate", "id": "paid", "prompt": "${string(item)}", "concurrency": 30}
    handle = await kernel.start(flow({**step, "for_each": "${range(201)}"}))
    await kernel.status(handle, "waiting")
    kernel.world.mended = True
    await handle.signal(WAKE)
    return handle


async def called_back(kernel: Kernel) -> Handle:
    """Of a run that never began, whose receiver is down at first."""
    request = CallbackRequest(run=f"told-{uuid4().hex[:12]}", workspace=kernel.workspace.id)
    answers = [reply(503), reply(204)]

    async def answer(_: Received) -> bytes:
        return answers.pop(0)

    async with Receiver(answer) as receiver:
        now = datetime.now(UTC)
        await kernel.runs.queue(
            NewRun(
                run_id=request.run,
                workspace_id=request.workspace,
                skill="told",
                version="v1",
                trigger="webhook",
                actor=Actor(kind="user", id="tester"),
                lineage=request.run,
                created_at=now,
                callback_url=receiver.url(),
            )
        )
        await kernel.runs.settle(request.run, "failed", now)
        await CallbackStarter(kernel.client, kernel.task_queue).start(request)
        handle = kernel.client.get_workflow_handle(f"{request.run}/callback")
        await handle.result()
    return handle


def spending(kernel: Kernel) -> Callable[[ModelRequest], Said]:
    """What has to be paid for is refused until there is budget."""

    def say(request: ModelRequest) -> Said:
        if request.context.path.startswith("paid[") and not kernel.world.mended:
            return BudgetExceeded("no tokens are left", resets_at="2099-01-01T00:00:00+00:00")
        return answered(request)

    return say


async def events(kernel: Kernel) -> Handle:
    """One that comes while the run waits, one that came before, and one that does not come."""
    telling = Telling.of(kernel)
    wait = {"kind": "wait", "event": "signed"}
    late = {"id": "late", "on_error": "continue", "length": "200ms"}
    steps = flow(
        {**wait, "id": "first", "matching": "event.data.n > inputs.n", "length": "1h"},
        {**wait, "id": "second"},
        {**wait, **late},
        watched("after", "${steps.first.data.n + steps.second.data.n}"),
    )
    handle = await kernel.start(steps, {"n": 1})
    await telling.noted()
    await telling.tell("signed", n=1)
    await telling.tell("signed", n=2)
    return handle


async def notified(kernel: Kernel) -> Handle:
    """In a workspace without a webhook: nothing outside is asked."""
    tell = {"kind": "notify", "channel": "slack"}
    return await kernel.start(
        flow(
            watched("report", {"title": "Report", "findings": []}),
            {**tell, "id": "tell", "message": "${steps.report}"},
            {**tell, "id": "each", "message": "${item}", "for_each": ["a", "b"]},
            {**tell, "id": "late", "message": "x", "retry": QUICK, "timeout": "5s"},
        )
    )


async def synced(kernel: Kernel) -> Handle:
    """A file of deals, which name their owners and their pipeline."""
    sources, place = Sources(kernel.pool), (kernel.workspace.id, "files")
    await sources.create(*place, FilesConfig())

    async def file() -> AsyncIterator[bytes]:
        yield b"id,stage,owner,amount\nd1,Talks,ada,100\nd2,Closed won,bo,1.5.0\n"

    await SourceFiles(kernel.pool).put(*place, "deals", "csv", file())
    await kernel.pool.execute("UPDATE sources SET sync_run = $1", "perdure.sync-recorded")
    return await kernel.start_type(SYNC, SyncInput(source="files"), run_id="perdure.sync-recorded")


def answered(request: ModelRequest) -> ModelReply:
    """Wrong at first where that is mended, and with tools at first where there are some."""
    match request.capability:
        case "extract":
            return says('{"n": 1}' if request.context.path.endswith(".repair") else "one")
        case "classify":
            return says('{"label": "a"}')
        case "generate":
            return says("written")
        case "reason" if request.context.path.endswith(".turn1"):
            return says("", ("watched", {"value": 1}), ("watched", {"value": 2}))
        case _:
            return says("because")


SCENARIOS: dict[str, Callable[[Kernel], Awaitable[Handle]]] = {
    each.__name__: each
    for each in (
        every_step,
        approved,
        paused,
        failed,
        cancelled,
        timed_out,
        retried,
        batched,
        parent,
        python_skill,
        continued,
        models,
        events,
        called_back,
        short_of_budget,
        notified,
        synced,
    )
}


class OneChild:
    """Every skill that a scenario starts is the same small flow."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def prepare(self, request: ChildRequest) -> ChildReady:
        parent = request.origin
        origin = RunOrigin(
            workspace=parent.workspace,
            skill=request.skill,
            version="v1",
            lineage=request.run,
            trigger="skill",
            actor=Actor(kind="system", id=request.parent),
            parent=request.parent,
            depth=parent.depth + 1,
            model_queue=parent.model_queue,
            allowed_tools=("*",),
        )
        await self._kernel.runs.queue(
            NewRun(
                run_id=request.run,
                workspace_id=parent.workspace.id,
                skill=request.skill,
                version="v1",
                trigger="skill",
                actor=origin.actor,
                lineage=request.run,
                created_at=datetime.now(UTC),
            )
        )
        child = Flow.model_validate(flow(watched("double", "${inputs.n * 2}")))
        return ChildReady(kind="flow", origin=origin, flow=child, inputs=request.inputs)


async def record(kernel: Kernel, name: str) -> None:
    kernel = with_children(kernel, OneChild(kernel))
    skills = python_skills(Path(__file__).parents[2] / "skills")
    async with kernel.worker(Continuing, *skills), Talk(kernel, spending(kernel)).worker():
        handle = await SCENARIOS[name](kernel)
        with suppress(WorkflowFailureError):
            await handle.result()
        history = await kernel.client.get_workflow_handle(
            handle.id, run_id=handle.first_execution_run_id
        ).fetch_history()
        save(name, history)
        for number, child in enumerate(children(history)):
            inner = await kernel.client.get_workflow_handle(child).fetch_history()
            save(f"{name}.child{number}", inner)


def children(history: WorkflowHistory) -> list[str]:
    return [
        event.start_child_workflow_execution_initiated_event_attributes.workflow_id
        for event in history.events
        if event.HasField("start_child_workflow_execution_initiated_event_attributes")
    ]


def save(name: str, history: WorkflowHistory) -> None:
    kept = {"workflow_id": history.workflow_id, **json.loads(history.to_json())}
    text = MACHINE.sub("worker", json.dumps(kept, separators=(",", ":")))
    (FOLDER / f"{name}.json").write_text(text + "\n")


async def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    missing = [name for name in SCENARIOS if not (FOLDER / f"{name}.json").exists()]
    if not missing:
        return
    servers = Servers()
    await servers.start("perdure")
    try:
        await migrate(servers.postgres("postgres"))
        async with await open_pool(servers.postgres("postgres")) as pool:
            for name in missing:
                async with open_kernel(servers.temporal, "perdure", pool, f"q-{name}") as kernel:
                    await record(kernel, name)
                sys.stdout.write(f"recorded {name}\n")
    finally:
        servers.stop()


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)
