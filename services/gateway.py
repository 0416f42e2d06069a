"""All that a caller may ask for, put together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from core.effects import TASK_QUEUE, ModelQueue
from services.actions import ActionService
from services.codec import CodecService
from services.health import HealthService
from services.history import Histories
from services.keys import KeyService
from services.launch import Launch
from services.live import Live
from services.llm import ANYTHING, LLMService, ModelOffer
from services.logs import LogService
from services.reconciler import Reconciler
from services.retries import RetryService
from services.runs import RunService
from services.secrets import SecretService
from services.skills import SkillService
from services.starter import Starter
from services.temporal import Codec
from services.versions import Versions
from services.wakes import Wakes
from services.workspaces import WorkspaceService
from store.attempts import Attempts
from store.budgets import Budgets
from store.keys import Keys
from store.leader import Leadership
from store.llm_config import LLMConfigs
from store.runs import Runs
from store.sealing import Keyring
from store.secrets import Secrets
from store.skills import Skills
from store.spending import Spending
from store.waits import Waits
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
    runs: RunService
    actions: ActionService
    retries: RetryService
    logs: LogService
    llm: LLMService
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
    admin_key: str | None = None,
    temporal_ui: str | None = None,
    task_queue: str = TASK_QUEUE,
    models: ModelOffer = ANYTHING,
    logs_after: timedelta = timedelta(0),
    model_queue: ModelQueue = "shared",
) -> Gateway:
    keyring = Keyring(encryption_keys)
    runs, skills = Runs(pool, keyring), Skills(pool)
    workspaces = Workspaces(pool)
    histories = Histories(client, Attempts(pool, keyring), runs)
    live = Live(client, histories, ui=temporal_ui, namespace=client.namespace)
    starter = Starter(client, task_queue, model_queue)
    launch = Launch(runs, starter)
    versions = Versions(skills, library)
    skill_service = SkillService(skills, library, versions, runs, tools)
    run_service = RunService(runs, skill_service, versions, launch, starter, live)
    llm = LLMService(
        LLMConfigs(pool, keyring),
        Budgets(pool, keyring),
        Spending(pool),
        Wakes(client, Waits(pool)),
        models,
    )
    leadership = Leadership(pool, "reconciler")
    return Gateway(
        workspaces=WorkspaceService(workspaces),
        keys=KeyService(Keys(pool), admin_key),
        secrets=SecretService(Secrets(pool, keyring)),
        skills=skill_service,
        runs=run_service,
        actions=ActionService(client, run_service),
        retries=RetryService(skill_service, versions, launch, live),
        logs=LogService(histories),
        llm=llm,
        health=HealthService(client, workspaces, task_queue),
        codec=CodecService(Codec(encryption_keys)),
        reconciler=Reconciler(leadership, runs, live, histories, [llm.look_after], logs_after),
    )
