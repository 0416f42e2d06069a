"""Runs workflows and activities: `python -m worker`."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

from temporalio import workflow
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.attempts import AttemptNotes
from activities.beating import Beating
from activities.beginnings import Beginnings
from activities.callbacks import CallbackActivities
from activities.compute import ComputeActivities, Tools
from activities.events import EventActivities, EventSource
from activities.models import ModelActivities
from activities.notify import NotifyActivities
from activities.record import CallbackStarter as BeginCallbacks
from activities.record import RecordActivities, RunRecords
from activities.runs import Children, RunActivities
from activities.runs import Histories as GivenSource
from activities.secrets import SecretSource
from activities.sync import SyncActivities
from core.effects import MODEL_QUEUE, TASK_QUEUE
from integrations import Connectors
from integrations.slack import Slack
from outbound import Guard, Outbound, Poster
from process import open_models, run
from services.awaited import AwaitedEvents
from services.callbacks import CallbackStarter
from services.children import PinnedChildren
from services.events import EventService
from services.furnishing import furnish
from services.history import Histories
from services.instructions import SkillInstructions
from services.launch import Launch
from services.library import Library
from services.links import Links
from services.live import Live
from services.report_tokens import ReportTokens
from services.starter import Starter
from services.temporal import connect
from services.versions import Versions
from services.wakes import Wakes
from settings import Settings
from store.attempts import Attempts
from store.callbacks import Callbacks
from store.crm.asking import CRM
from store.deliveries import Deliveries
from store.event_waits import EventWaits
from store.events import Events
from store.pool import open_pool
from store.reports import Reports
from store.runs import Runs
from store.sealing import Keyring
from store.secrets import Secrets
from store.skills import Skills
from store.source_files import SourceFiles
from store.sources import Sources
from store.waits import Waits
from store.webhook_secrets import WebhookSecrets
from store.workspaces import Workspaces
from tools import open_registry, specs
from workflows.callback import CallbackRun
from workflows.flow import BatchRun, FlowRun
from workflows.interceptor import RunInterceptor
from workflows.sync import SyncRun

log = logging.getLogger("perdure.worker")
# Measured: 200 waiting runs cost 14 MB instead of 321.
PASSED_THROUGH = ("pydantic", "pydantic_core", "annotated_types", "core", "workflows")
GRACE = timedelta(seconds=10)
CONNECT_EVERY_SECONDS = 1.0
LONG_QUESTION = timedelta(seconds=45)


@dataclass(frozen=True)
class Parts:
    """What activities are given; each is a Protocol of theirs."""

    tools: Tools
    secrets: SecretSource
    attempts: AttemptNotes
    runs: RunRecords
    histories: GivenSource
    children: Children
    events: EventSource
    callbacks: BeginCallbacks


class Options(TypedDict):
    deployment_config: WorkerDeploymentConfig
    max_heartbeat_throttle_interval: timedelta
    default_heartbeat_throttle_interval: timedelta
    max_concurrent_activities: int
    graceful_shutdown_timeout: timedelta


def options() -> Options:
    # Named here, or else the library reads all loaded code for a second to name it.
    build = WorkerDeploymentVersion(deployment_name="perdure", build_id=version("perdure"))
    return Options(
        deployment_config=WorkerDeploymentConfig(version=build, use_worker_versioning=False),
        max_heartbeat_throttle_interval=timedelta(seconds=1),
        default_heartbeat_throttle_interval=timedelta(seconds=1),
        max_concurrent_activities=400,
        graceful_shutdown_timeout=GRACE,
    )


def make_model_worker(
    client: Client, models: ModelActivities, task_queue: str = TASK_QUEUE
) -> Worker:
    """For runs whose model calls have a queue of their own."""
    return Worker(
        client,
        task_queue=task_queue + MODEL_QUEUE,
        activities=[models.call],
        interceptors=[Beating()],
        **options(),
    )


def make_worker(
    client: Client,
    parts: Parts,
    python_skills: list[type],
    task_queue: str = TASK_QUEUE,
    models: ModelActivities | None = None,
    callbacks: CallbackActivities | None = None,
    notices: NotifyActivities | None = None,
    syncs: SyncActivities | None = None,
) -> Worker:
    compute = ComputeActivities(parts.tools, parts.secrets, parts.attempts, Beginnings(parts.runs))
    records = RecordActivities(parts.runs, parts.callbacks)
    others = RunActivities(parts.histories, parts.children)
    events = EventActivities(parts.events, Beginnings(parts.runs))
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[FlowRun, BatchRun, CallbackRun, SyncRun, *python_skills],
        activities=[
            compute.call,
            records.record,
            others.given,
            others.child,
            events.look,
            *((models.call,) if models else ()),
            *((callbacks.post, callbacks.settle) if callbacks else ()),
            *((notices.send,) if notices else ()),
            *((syncs.plan, syncs.read, syncs.announce) if syncs else ()),
        ],
        interceptors=[RunInterceptor(), Beating()],
        workflow_runner=sandbox(),
        # A killed worker's runs go on elsewhere after this; shorter costs throughput.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        max_concurrent_local_activities=500,
        **options(),
    )


def sandbox() -> SandboxedWorkflowRunner:
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    return SandboxedWorkflowRunner(restrictions=restrictions)


def python_skills(folder: Path) -> list[type]:
    """The workflow classes of skills that are written in Python."""
    found: list[type] = []
    for file in sorted(folder.glob("*/workflow.py")):
        module = importlib.import_module(f"skills.{file.parent.name}.workflow")
        found.extend(
            each
            for _, each in inspect.getmembers(module, inspect.isclass)
            if each.__module__ == module.__name__
            and hasattr(each, "__temporal_workflow_definition")
        )
    return found


@asynccontextmanager
async def open_workers(settings: Settings, client: Client) -> AsyncGenerator[None]:
    """Joins everything that touches the world to the activities, and works until left."""
    keyring = Keyring(settings.keys)
    library = Library.load(settings.skills, specs())
    hosts = frozenset(settings.http_allowed_hosts)
    dsn = settings.database_url.get_secret_value()
    async with (
        await open_pool(dsn) as pool,
        # Apart from the others, so that no record waits for a long question.
        await open_pool(dsn, max_size=5, answer_within=LONG_QUESTION) as asked,
    ):
        runs, attempts, skills = Runs(pool, keyring), Attempts(pool, keyring), Skills(pool)
        versions = Versions(skills, library)
        guides = SkillInstructions(versions, skills, library)
        reports = Reports(pool, keyring)
        async with (
            open_registry(hosts, settings.own_endpoints, guides, CRM(asked), reports) as tools,
            open_models(settings, pool, keyring) as models,
            Outbound(hosts, settings.own_endpoints) as outbound,
        ):
            happened = Events(pool, keyring)
            awaited = AwaitedEvents(happened, EventWaits(pool, keyring))
            histories = Histories(client, attempts, runs)
            parts = Parts(
                tools=tools,
                secrets=Secrets(pool, keyring),
                attempts=attempts,
                runs=runs,
                histories=histories,
                children=PinnedChildren(runs, versions),
                events=awaited,
                callbacks=CallbackStarter(client),
            )
            poster = Poster(outbound)
            tokens = ReportTokens(settings.keys.values())
            links = Links(client.namespace, settings.temporal_ui_url, settings.address, tokens)
            events = EventService(
                happened,
                Workspaces(pool),
                versions,
                Launch(runs, Starter(client, model_queue=settings.model_queue)),
                Live(client, histories, links),
                Wakes(client, Waits(pool), awaited),
            )
            callbacks = CallbackActivities(
                Callbacks(pool, keyring), runs, WebhookSecrets(pool, keyring), links, poster
            )
            notices = NotifyActivities(
                {"slack": Slack(parts.secrets, poster)},
                Deliveries(pool),
                links,
                reports,
                attempts,
                Beginnings(runs),
            )
            connectors = Connectors(
                parts.secrets, SourceFiles(pool), outbound, Guard(hosts, settings.own_endpoints)
            )
            syncs = SyncActivities(Sources(pool), connectors, events, attempts)
            calls = ModelActivities(models.router, tools, guides, attempts, Beginnings(runs))
            async with (
                make_worker(
                    client,
                    parts,
                    python_skills(settings.skills),
                    models=calls,
                    callbacks=callbacks,
                    notices=notices,
                    syncs=syncs,
                ),
                make_model_worker(client, calls),
            ):
                yield


async def serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    client = await patiently_connect(settings, stop)
    if client is None:
        return
    async with open_workers(settings, client), asyncio.TaskGroup() as beside:
        # Runs need not wait for it: with Postgres away they go on, and are recorded later.
        furnishing = beside.create_task(furnish(client, settings.database_url.get_secret_value()))
        log.info("worker ready on %s, namespace %s", settings.temporal_address, client.namespace)
        await stop.wait()
        log.info("worker stops; what it has in hand gets %s s", GRACE.seconds)
        furnishing.cancel()


async def patiently_connect(settings: Settings, stop: asyncio.Event) -> Client | None:
    """Temporal may start after us, or be away for a while."""
    said = False
    while not stop.is_set():
        try:
            return await connect(
                settings.temporal_address,
                settings.temporal_namespace,
                settings.keys,
                api_key=settings.api_key,
                tls=settings.temporal_tls,
            )
        except (RuntimeError, TimeoutError) as error:
            if not said:
                log.warning(
                    "Temporal at %s does not answer yet (%s); trying on",
                    settings.temporal_address,
                    type(error).__name__,
                )
            said = True
        try:
            await asyncio.wait_for(stop.wait(), CONNECT_EVERY_SECONDS)
        except TimeoutError:
            continue
    return None


def work(settings: Settings) -> int:
    # Its default prefix repeats what the message says.
    workflow.logger.workflow_info_on_message = False
    # It tells each failed attempt with a traceback; activities say it in a line of their own.
    logging.getLogger("temporalio.activity").setLevel(logging.ERROR)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    asyncio.run(serve(settings))
    return 0


if __name__ == "__main__":
    run(work)
