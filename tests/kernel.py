"""A worker as `worker.py` makes it, on real servers, with tools that tests can watch."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.beginnings import Beginnings
from activities.callbacks import CallbackActivities
from activities.notify import NotifyActivities
from activities.sync import SyncActivities
from core.effects import MODEL_QUEUE, TASK_QUEUE
from core.errors import HttpFailed, HttpFailedForNow
from core.flow import Flow
from core.run import ENDED, FlowInput, Run, RunOrigin, Workspace
from core.tool import Actor, ToolContext
from integrations import Connectors
from integrations.slack import Slack
from outbound import Guard, Outbound, Poster
from services.awaited import AwaitedEvents
from services.callbacks import CallbackStarter
from services.events import EventService
from services.history import Histories
from services.launch import Launch
from services.library import Library
from services.links import Links
from services.live import Live
from services.report_tokens import ReportTokens
from services.starter import Starter
from services.temporal import connect
from services.versions import Versions
from services.wakes import Wakes
from store.attempts import Attempts
from store.callbacks import Callbacks
from store.deliveries import Deliveries
from store.event_waits import EventWaits
from store.events import Events
from store.pool import Pool
from store.reports import Reports
from store.runs import NewRun, Runs
from store.sealing import Keyring
from store.secrets import Secrets
from store.skills import Skills
from store.source_files import SourceFiles
from store.sources import Sources
from store.waits import Waits
from store.webhook_secrets import WebhookSecrets
from store.workspaces import Workspaces
from tools.general import echo
from tools.registry import Registry, tool
from worker import Parts, make_worker
from workflows.children import attributes

KEYS = {"test": bytes(range(32))}
HERE = frozenset({"127.0.0.1"})  # where requests may go, although it is not public
OURS = frozenset({("127.0.0.1", 8233)})  # where they may not go all the same
SOON = timedelta(seconds=30)


class Watched(BaseModel):
    """`fail` says how the call goes wrong, `times` how often before it goes well."""

    model_config = ConfigDict(extra="forbid")
    value: Any = None
    fail: Literal["now", "for_good"] | None = None
    times: int = 1_000_000
    hold: str | None = None


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")
    method: str
    url: str
    timeout: float


@dataclass
class World:
    """What happened outside: calls by path, and gates that hold calls until a test opens them."""

    calls: Counter[str] = field(default_factory=Counter[str])
    keys: list[str] = field(default_factory=list[str])
    holding: Counter[str] = field(default_factory=Counter[str])
    released: Counter[str] = field(default_factory=Counter[str])
    open: set[str] = field(default_factory=set[str])
    mended: bool = False

    async def arrives(self, name: str, count: int = 1) -> None:
        await until(lambda: self.holding[name] >= count)

    def registry(self) -> Registry:
        world = self

        @tool("read")
        async def watched(arguments: Watched, context: ToolContext) -> Any:
            """Counts its calls, and fails or waits as it is told."""
            path = context.run.path
            world.calls[path] += 1
            world.keys.append(context.effect_key)
            if arguments.hold and arguments.hold not in world.open:
                world.holding[arguments.hold] += 1
                await until(lambda: arguments.hold in world.open, timedelta(minutes=2))
                world.released[arguments.hold] += 1
            if not world.mended and world.calls[path] <= arguments.times:
                if arguments.fail == "now":
                    raise HttpFailedForNow(f"{path} fails for now")
                if arguments.fail == "for_good":
                    raise HttpFailed(f"{path} fails for good")
            return arguments.value

        @tool("write")
        async def writes(arguments: Watched, context: ToolContext) -> Any:
            """Like watched, but it changes something."""
            return await watched.call(arguments, context)

        @tool("read")
        async def http_request(arguments: Asked, context: ToolContext) -> Any:
            """The web, which is outside: it is down for the first calls."""
            world.calls["http_request"] += 1
            if world.calls["http_request"] < 2:
                raise HttpFailedForNow(f"{arguments.url} answered 503")
            return {"status": 200, "headers": {}, "body": "well"}

        @tool("write")
        async def halves(arguments: Watched, context: ToolContext) -> Any:
            """Returns what is JSON for Python, and for nobody else."""
            world.calls[context.run.path] += 1
            return "\ud83d"

        return Registry(echo, watched, writes, halves, http_request)


async def until(done: Callable[[], bool], within: timedelta = SOON) -> None:
    async with asyncio.timeout(within.total_seconds()):
        while not done():
            await asyncio.sleep(0.01)


async def eventually(
    ask: Callable[[], Awaitable[Any]], right: Callable[[Any], bool], within: timedelta = SOON
) -> Any:
    async with asyncio.timeout(within.total_seconds()):
        while not right(answer := await ask()):
            await asyncio.sleep(0.02)
    return answer


@dataclass(frozen=True)
class Kernel:
    client: Client
    pool: Pool
    runs: Runs
    parts: Parts
    world: World
    histories: Histories
    workspace: Workspace
    task_queue: str
    callbacks: CallbackActivities
    notices: NotifyActivities
    connectors: Connectors
    syncs: SyncActivities

    def worker(self, *python_skills: type) -> Worker:
        return make_worker(
            self.client,
            self.parts,
            list(python_skills),
            self.task_queue,
            callbacks=self.callbacks,
            notices=self.notices,
            syncs=self.syncs,
        )

    async def start(
        self, flow: Flow | dict[str, Any], inputs: dict[str, Any] | None = None, **origin: Any
    ) -> WorkflowHandle[Any, Any]:
        """As the gateway does it: the row first, then the workflow."""
        flow = flow if isinstance(flow, Flow) else Flow.model_validate(flow)
        argument = FlowInput(flow=flow, inputs=inputs or {})
        return await self.start_type("test-flow", argument, **origin)

    async def start_type(
        self, skill: str, argument: Any, run_id: str | None = None, **origin: Any
    ) -> WorkflowHandle[Any, Any]:
        run_id = run_id or f"{skill}-{uuid4().hex[:20]}"
        known = RunOrigin(
            **{
                "workspace": self.workspace,
                "skill": skill,
                "version": "v1",
                "lineage": run_id,
                "actor": Actor(kind="user", id="tester"),
                "allowed_tools": ("*",),
                "model_queue": self.task_queue + MODEL_QUEUE,
                **origin,
            }
        )
        await self.runs.queue(
            NewRun(
                run_id=run_id,
                workspace_id=self.workspace.id,
                skill=skill,
                version="v1",
                trigger=known.trigger,
                actor=known.actor,
                lineage=known.lineage,
                retry_of=known.given_by,
                created_at=datetime.now(UTC),
            )
        )
        return await self.client.start_workflow(
            skill,
            argument,
            id=run_id,
            task_queue=self.task_queue,
            memo={"perdure": known},
            search_attributes=attributes(known),
            task_timeout=timedelta(seconds=5),
        )

    async def row(self, handle: WorkflowHandle[Any, Any]) -> Run:
        found = await self.runs.find(handle.id, self.workspace.id)
        assert found is not None
        return found

    async def status(self, handle: WorkflowHandle[Any, Any], *statuses: str) -> Run:
        """The row, once it has one of these statuses."""
        return await eventually(lambda: self.row(handle), lambda run: run.status in statuses)

    async def ended(self, handle: WorkflowHandle[Any, Any]) -> Run:
        return await self.status(handle, *ENDED)


@asynccontextmanager
async def open_kernel(
    address: str, namespace: str, pool: Pool, task_queue: str = TASK_QUEUE
) -> AsyncIterator[Kernel]:
    client = await connect(address, namespace, KEYS)
    keyring = Keyring(KEYS)
    workspace = Workspace(id=f"w-{uuid4().hex[:12]}", name="Test")
    await pool.execute(
        "INSERT INTO workspaces (id, name, timezone) VALUES ($1, 'Test', 'UTC')", workspace.id
    )
    runs, attempts = Runs(pool, keyring), Attempts(pool, keyring)
    histories = Histories(client, attempts, runs)
    world = World()
    happened = Events(pool, keyring)
    awaited = AwaitedEvents(happened, EventWaits(pool, keyring))
    parts = Parts(
        tools=world.registry(),
        secrets=Secrets(pool, keyring),
        attempts=attempts,
        runs=runs,
        histories=histories,
        children=NoChildren(),
        events=awaited,
        callbacks=CallbackStarter(client, task_queue),
    )
    async with Outbound(HERE, OURS) as outbound:
        poster, tokens = Poster(outbound), ReportTokens(KEYS.values())
        links = Links(namespace, gateway="https://perdure.example", tokens=tokens)
        callbacks = CallbackActivities(
            Callbacks(pool, keyring), runs, WebhookSecrets(pool, keyring), links, poster
        )
        connectors = Connectors(parts.secrets, SourceFiles(pool), outbound, Guard(HERE, OURS))
        events = EventService(
            happened,
            Workspaces(pool),
            Versions(Skills(pool), Library({})),
            Launch(runs, Starter(client, task_queue)),
            Live(client, histories, links),
            Wakes(client, Waits(pool), awaited),
        )
        notices = NotifyActivities(
            {"slack": Slack(parts.secrets, poster)},
            Deliveries(pool),
            links,
            Reports(pool, keyring),
            attempts,
            Beginnings(runs),
        )
        yield Kernel(
            client,
            pool,
            runs,
            parts,
            world,
            histories,
            workspace,
            task_queue,
            callbacks,
            notices,
            connectors,
            SyncActivities(Sources(pool), connectors, events, attempts),
        )


class NoChildren:
    async def prepare(self, request: Any) -> Any:
        raise AssertionError(f"nothing here starts {request.skill}")


def with_children(kernel: Kernel, children: Any) -> Kernel:
    return replace(kernel, parts=replace(kernel.parts, children=children))
