import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
)

from api.auth import CanActOnRun, CanRead, CanReadRun, RunVisit, Services, require
from api.bodies import Asked, StrictRoute
from api.callbacks import CallbackUrl
from api.errors import REFUSED
from api.events import stream
from api.headers import IdempotencyKey
from api.pages import Cursor, Limit, Page
from api.runs import RunLine, RunState
from core.event import LogEvent
from core.run import Run, RunStatus, Trigger
from services.retries import RetryRequest
from services.runs import RunFilter

router = APIRouter(tags=["runs"], route_class=StrictRoute, responses=REFUSED)

DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
SPACED_OFFSET = re.compile(r" (\d{2}:?\d{2})$", re.ASCII)

StepPath = Annotated[
    str, Field(min_length=1, max_length=500, description="needed where several approvals wait")
]
Comment = Annotated[str, StringConstraints(max_length=2000)]


A_MOMENT = "a time with its offset, such as 2026-11-20T08:00:00Z, or a day, such as 2026-11-20"


def _moment(text: str) -> datetime:
    """Any other reading of a number or of a time without an offset would be a guess."""
    try:
        if DAY.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        # In a query a `+` that was not encoded has become a space.
        moment = datetime.fromisoformat(SPACED_OFFSET.sub(r"+\1", text))
        if DAY.match(text) and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("expected a time between the years 1 and 9999") from None
    except ValueError:
        pass
    raise ValueError(f"expected {A_MOMENT}")


Moment = Annotated[datetime, BeforeValidator(_moment)]


class Pause(Asked):
    """Starts no further step until resumed; what is under way goes on."""

    action: Literal["pause"]


class Resume(Asked):
    action: Literal["resume"]


class Cancel(Asked):
    """Stops now, and records what was done."""

    action: Literal["cancel"]


class Retry(Asked):
    """A new run that is given what this one finished; of the same version, unless told."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"action": "retry", "version": "latest"}]}
    )

    action: Literal["retry"]
    version: Literal["latest"] | None = None
    inputs: dict[str, Any] | None = None
    callback_url: CallbackUrl | None = None


class Approve(Asked):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"action": "approve", "step": "sign", "comment": "as agreed"}]
        }
    )

    action: Literal["approve"]
    step: StepPath | None = None
    comment: Comment | None = None


class Reject(Asked):
    action: Literal["reject"]
    step: StepPath | None = None
    comment: Comment | None = None


Action = Annotated[Pause | Resume | Cancel | Retry | Approve | Reject, Discriminator("action")]


@router.get("/api/workspaces/{ws}/runs")
async def list_runs(
    visit: CanRead,
    services: Services,
    skill: Annotated[
        str | None, Query(max_length=64, description="of this skill, also if it was removed")
    ] = None,
    status: Annotated[RunStatus | None, Query(description="as they stand")] = None,
    trigger: Annotated[Trigger | None, Query(description="started by this")] = None,
    q: Annotated[
        str | None,
        Query(max_length=200, description="looked for in skill, run id, label and error code"),
    ] = None,
    since: Annotated[
        Moment | None,
        Query(description=f"created at or after: {A_MOMENT} (where it begins in UTC)"),
    ] = None,
    until: Annotated[
        Moment | None, Query(description=f"created before: {A_MOMENT} (where it begins in UTC)")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RunLine]:
    """The runs of a workspace, newest first."""
    filters = RunFilter(
        skill=skill, status=status, trigger=trigger, q=q or None, since=since, until=until
    )
    page = await services.runs.list_page(visit.workspace.id, filters, limit, cursor)
    return Page(
        items=[RunLine.model_validate(run) for run in page.items], next_cursor=page.next_cursor
    )


@router.get("/api/runs/{run_id}")
async def get_run(visit: CanReadRun, services: Services) -> Run:
    """The whole run, as it is at this moment: its steps, what it waits for, its output."""
    return await services.runs.whole(visit.run)


@router.get(
    "/api/runs/{run_id}/log",
    response_model=Page[LogEvent],
    responses={
        200: {
            "description": "A page of the log; with `stream=true` server-sent events, one log "
            "event each, whose `id` is the cursor to go on from",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def get_log(
    visit: CanReadRun,
    services: Services,
    *,
    live: Annotated[
        bool, Query(alias="stream", description="events as they happen, until the run ends")
    ] = False,
    step: Annotated[
        str | None,
        Query(max_length=500, description="a batch of a large `for_each`: `deals[0..499]`"),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    last_event_id: Annotated[
        str | None,
        Header(
            max_length=2000,
            description="the `id` that a stream told last: it goes on there; comes before `cursor`",
        ),
    ] = None,
) -> Page[LogEvent] | StreamingResponse:
    """What happened, event by event. An event's `id` is the same whenever and however it is read.

    A stream goes on after `Last-Event-ID` or `cursor`, says something every 15 seconds, and ends
    when the run does.
    """
    if live:
        return stream(services.logs.follow(visit.run, last_event_id or cursor, step))
    events, following = await services.logs.page(visit.run, cursor, limit, step)
    return Page(items=events, next_cursor=following)


@router.post("/api/runs/{run_id}", status_code=202)
async def act_on_run(
    body: Action,
    visit: CanActOnRun,
    services: Services,
    idempotency_key: IdempotencyKey = None,
) -> RunState:
    """Pause, resume, cancel, retry, approve or reject.

    Approving and rejecting need the scope `approve`, everything else `run`. An action on a run
    that has ended is 409 `run_ended`; a decision that is no longer pending is 409 `not_pending`.
    A retry answers with the new run.
    """
    run = await _act(body, visit, services, idempotency_key)
    return RunState.of(run)


async def _act(
    action: Action, visit: RunVisit, services: Services, idempotency_key: str | None
) -> Run:
    run, access = visit.run, visit.access
    deciding = isinstance(action, Approve | Reject)
    require(access, "approve" if deciding else "run")
    match action:
        case Pause():
            return await services.actions.pause(run, access)
        case Resume():
            return await services.actions.resume(run, access)
        case Cancel():
            return await services.actions.cancel(run, access)
        case Approve(step=step, comment=comment):
            return await services.actions.decide(run, "approved", step, comment, access)
        case Reject(step=step, comment=comment):
            return await services.actions.decide(run, "rejected", step, comment, access)
        case Retry():
            workspace = await services.workspaces.get(run.workspace_id)
            request = RetryRequest.model_validate(
                action.model_dump(exclude={"action"}, exclude_unset=True)
            )
            return await services.retries.retry(workspace, run, request, access, idempotency_key)
