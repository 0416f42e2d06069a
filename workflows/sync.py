from temporalio import workflow

from core.crm import Kind
from core.sync import (
    ANNOUNCE,
    PLAN,
    READ,
    SYNC,
    AnnounceRequest,
    PlanRequest,
    Progress,
    Reading,
    ReadRequest,
    SyncInput,
    SyncPlan,
    SyncResult,
)
from workflows import policies
from workflows.flow import not_by_hand
from workflows.state import CURRENT, RunState

SLICES_IN_A_HISTORY = 1_000


@workflow.defn(name=SYNC, sandboxed=False)
class SyncRun:
    """Brings a source's records here, kind by kind; how far it is, Postgres keeps."""

    @workflow.run
    async def run(self, task: SyncInput) -> SyncResult:
        run = CURRENT.get(None)
        if run is None:
            raise not_by_hand()
        progress = task.progress or Progress(kinds=await plan(run, task))
        done, slices, left = progress.done, progress.slices, SLICES_IN_A_HISTORY
        for kind in progress.kinds[len(done) :]:
            reading = None
            while reading is None or not reading.is_done:
                if not left:
                    progress = progress.model_copy(update={"done": done, "slices": slices})
                    workflow.continue_as_new(task.model_copy(update={"progress": progress}))
                slices, left = slices + 1, left - 1
                reading = await read(run, task, kind, slices)
            done, slices = (*done, reading), 0
        result = SyncResult.of(task.source, done)
        if task.announce:
            await announce(run, result)
        return result


async def plan(run: RunState, task: SyncInput) -> tuple[Kind, ...]:
    request = PlanRequest(
        context=run.context("plan"),
        workspace=run.origin.workspace,
        source=task.source,
        full=task.full,
    )
    planned: SyncPlan = await workflow.execute_activity(
        PLAN,
        request,
        result_type=SyncPlan,
        activity_id="plan",
        summary=f"what to read of {task.source}",
        **policies.READING,
    )
    return planned.kinds


async def read(run: RunState, task: SyncInput, kind: Kind, part: int) -> Reading:
    """Some seconds' worth of a kind."""
    path = kind if part == 1 else f"{kind}#{part}"
    request = ReadRequest(
        context=run.context(path), workspace=run.origin.workspace, source=task.source, kind=kind
    )
    reading: Reading = await workflow.execute_activity(
        READ,
        request,
        result_type=Reading,
        activity_id=path,
        summary=f"{task.source}: {kind}",
        **policies.READING,
    )
    return reading


async def announce(run: RunState, result: SyncResult) -> None:
    told = result.model_dump(mode="json", exclude={"faults"})
    request = AnnounceRequest(context=run.context("announce"), data={**told, "run_id": run.run_id})
    await workflow.execute_activity(
        ANNOUNCE,
        request,
        activity_id="announce",
        summary=f"{result.source}: {result.records:,} changes",
        **policies.SETTLE,
    )
