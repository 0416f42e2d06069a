"""All that a caller may ask for, put together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from core.effects import TASK_QUEUE, ModelQueue
from services.actions import ActionService
from services.awaited import AwaitedEvents
from services.callbacks import CallbackService, CallbackStarter, Ways
from services.codec import CodecService
from services.events import EventService
from services.health import HealthService
from services.history import Histories
from services.keys import KeyService
from services.launch import Launch
from services.links import Links
from services.live import Live
from services.llm import ANYTHING, LLMService, ModelOffer
from services.logs import LogService
from services.notices import NoticeService
from services.reconciler import Reconciler
from services.report_tokens import ReportTokens
from services.reports import ReportService
from services.retries import RetryService
from services.runs import RunService
from services.secrets import SecretService
from services.skills import SkillService
from services.sources import Connectors, SourceService
from services.starter import Starter
from services.temporal import Codec
from services.versions import Versions
from services.wakes import Wakes
from services.webhooks import WebhookService
from services.workspaces import WorkspaceService
from store.attempts import Attempts
from store.budgets import Budgets
from store.callbacks import Callbacks
from store.crm.records import CRMRecords
from store.event_waits import EventWaits
from store.events import Events
from store.keys import Keys
from store.leader import Leadership
from store.llm_config import LLMConfigs
from store.notices import Notices
from store.reports import Reports
from store.runs import Runs
from store.sealing import Keyring
from store.secrets import Secrets
from store.skills import Skills
from store.source_files import SourceFiles
from store.sources import Sources
from store.spending import Spending
from store.waits import Waits
from store.webhook_secrets import WebhookSecrets
from store.workspaces import Workspaces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.client import Client

    from core.tool import ToolSpec
    from services.library import Library
    from store.pool import Pool


@dataclass(frozen=True)
class Gateway:
    workspaces: WorkspaceService
    keys: KeyService
    secrets: SecretService
    skills: SkillService
    sources: SourceService
    runs: RunService
    actions: ActionService
    retries: RetryService
    logs: LogService
    reports: ReportService
    llm: LLMService
    webhooks: WebhookService
    events: EventService
    health: HealthService
    codec: CodecService
    reconciler: Reconciler


def assemble(
    client: Client,
    pool: Pool,
    *,
    encryption_keys: dict[str, bytes],
    library: Library,
    tools: Sequence[ToolSpec],
    ways: Ways,
    connectors: Connectors,
    admin_key: str | None = None,
    temporal_ui: str | None = None,
    public_url: str | None = None,
    task_queue: str = TASK_QUEUE,
    models: ModelOffer = ANYTHING,
    logs_after: timedelta = timedelta(0),
    model_queue: ModelQueue = "shared",
) -> Gateway:
    keyring = Keyring(encryption_keys)
    runs, skills = Runs(pool, keyring), Skills(pool)
    workspaces = Workspaces(pool)
    workspace_service = WorkspaceService(workspaces)
    tokens = ReportTokens(encryption_keys.values())
    links = Links(client.namespace, temporal_ui, public_url, tokens)
    histories = Histories(client, Attempts(pool, keyring), runs)
    live = Live(client, histories, links)
    starter = Starter(client, task_queue, model_queue)
    launch = Launch(runs, starter)
    versions = Versions(skills, library)
    skill_service = SkillService(skills, library, versions, runs, tools)
    callbacks = CallbackService(Callbacks(pool, keyring), CallbackStarter(client, task_queue), ways)
    run_service = RunService(runs, skill_service, versions, launch, starter, live, callbacks)
    happened = Events(pool, keyring)
    awaited = AwaitedEvents(happened, EventWaits(pool, keyring))
    wakes = Wakes(client, Waits(pool), awaited)
    llm = LLMService(
        LLMConfigs(pool, keyring), Budgets(pool, keyring), Spending(pool), wakes, models
    )
    events = EventService(happened, workspaces, versions, launch, live, wakes)
    leadership = Leadership(pool, "reconciler")
    notices = NoticeService(Notices(pool), events)
    chores = [llm.look_after, notices.tell, events.finish_left, callbacks.look_after]
    return Gateway(
        workspaces=workspace_service,
        keys=KeyService(Keys(pool), admin_key),
        secrets=SecretService(Secrets(pool, keyring)),
        skills=skill_service,
        sources=SourceService(
            Sources(pool), SourceFiles(pool), CRMRecords(pool), connectors, launch, runs, live
        ),
        runs=run_service,
        actions=ActionService(client, run_service),
        retries=RetryService(skill_service, versions, launch, live, callbacks),
        logs=LogService(histories),
        reports=ReportService(
            live, workspace_service, Reports(pool, keyring), versions, links, tokens
        ),
        llm=llm,
        webhooks=WebhookService(WebhookSecrets(pool, keyring)),
        events=events,
        health=HealthService(client, workspaces, task_queue),
        codec=CodecService(Codec(encryption_keys)),
        reconciler=Reconciler(leadership, runs, live, histories, chores, logs_after),
    )
