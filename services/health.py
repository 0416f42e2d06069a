from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
)
from temporalio.service import RPCError

from core.effects import TASK_QUEUE
from core.errors import Unavailable
from core.model import Frozen
from services import reach

if TYPE_CHECKING:
    from temporalio.client import Client

    from store.workspaces import Workspaces

LOOK_WITHIN = timedelta(seconds=2)
# An idle worker asks again once a minute; the server remembers the others for five.
ALIVE = timedelta(seconds=70)
KINDS = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}


class Check(Frozen):
    ok: bool
    detail: str


class Readiness(Frozen):
    """Each of the three is needed for a run to go on."""

    ready: bool
    temporal: Check
    postgres: Check
    worker: Check


class WorkerSeen(Frozen):
    """A process that asks for work; `serves` says of which kind."""

    identity: str
    serves: tuple[str, ...]
    last_seen_at: datetime


class Workers(Frozen):
    """Who works, and how much waits: tasks that nobody has taken yet, the oldest for so long."""

    task_queue: str
    anybody: bool
    workers: tuple[WorkerSeen, ...]
    backlog: int
    backlog_age_seconds: float


class HealthService:
    def __init__(
        self, client: Client, workspaces: Workspaces, task_queue: str = TASK_QUEUE
    ) -> None:
        self._client = client
        self._workspaces = workspaces
        self._task_queue = task_queue
        self._asking: set[asyncio.Task[Any]] = set()

    async def readiness(self) -> Readiness:
        postgres, (temporal, worker) = await asyncio.gather(self._postgres(), self._temporal())
        ready = postgres.ok and temporal.ok and worker.ok
        return Readiness(ready=ready, temporal=temporal, postgres=postgres, worker=worker)

    async def workers(self) -> Workers:
        async with reach.temporal(LOOK_WITHIN):
            queues = await asyncio.gather(*map(self._describe, KINDS.values()))
        seen: dict[str, WorkerSeen] = {}
        since = datetime.now(UTC) - ALIVE
        for kind, queue in zip(KINDS, queues, strict=True):
            for poller in queue.pollers:
                at = poller.last_access_time.ToDatetime(UTC)
                if at < since:
                    continue
                known = seen.get(poller.identity)
                seen[poller.identity] = WorkerSeen(
                    identity=poller.identity,
                    serves=(*(known.serves if known else ()), kind),
                    last_seen_at=max(at, known.last_seen_at) if known else at,
                )
        return Workers(
            task_queue=self._task_queue,
            anybody=any(len(worker.serves) == len(KINDS) for worker in seen.values()),
            workers=tuple(seen[identity] for identity in sorted(seen)),
            backlog=sum(queue.stats.approximate_backlog_count for queue in queues),
            backlog_age_seconds=max(
                queue.stats.approximate_backlog_age.ToTimedelta().total_seconds()
                for queue in queues
            ),
        )

    async def _temporal(self) -> tuple[Check, Check]:
        try:
            workers = await self.workers()
        except (Unavailable, RPCError) as away:
            unknown = Check(ok=False, detail="unknown while Temporal is away")
            return Check(ok=False, detail=str(away)), unknown
        there = Check(ok=True, detail=f"namespace {self._client.namespace}")
        if not workers.anybody:
            return there, Check(ok=False, detail=f"nobody works on {self._task_queue!r}")
        count = len(workers.workers)
        return there, Check(ok=True, detail=f"{count} at work" if count > 1 else "one at work")

    async def _postgres(self) -> Check:
        asking = asyncio.ensure_future(self._workspaces.list_page(1))
        self._asking.add(asking)
        asking.add_done_callback(self._forget)
        done, _ = await asyncio.wait({asking}, timeout=LOOK_WITHIN.total_seconds())
        if not done:
            # The driver gives a query up only once the server has heard of it, which may be frozen.
            asking.cancel()
            return Check(ok=False, detail="Postgres does not answer")
        try:
            asking.result()
        except Unavailable:
            return Check(ok=False, detail="Postgres does not answer")
        except Exception as error:
            # A database without our tables, above all.
            return Check(ok=False, detail=f"Postgres refuses ({type(error).__name__})")
        return Check(ok=True, detail="reachable and migrated")

    def _forget(self, asking: asyncio.Task[Any]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()

    async def _describe(self, kind: TaskQueueType.ValueType) -> DescribeTaskQueueResponse:
        return await self._client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=self._client.namespace,
                task_queue=TaskQueue(name=self._task_queue),
                task_queue_type=kind,
                report_stats=True,
            )
        )
