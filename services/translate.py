"""Temporal's history in our words; payloads are decoded a page at a time."""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure as FailureProto
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import DataConverter
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    TerminatedError,
    TimeoutError,
    TimeoutType,
)

from core.errors import ChildFailed, StepTimedOut
from core.history import (
    Answered,
    Asked,
    Attempted,
    Began,
    CancelAsked,
    Cancelled,
    ChildClosed,
    ChildInitiated,
    Closed,
    Completed,
    Failed,
    Happened,
    Json,
    Marked,
    Scheduled,
    Signalled,
    TimerEnded,
    TimerSet,
)
from core.run import Failure

LOCAL_ACTIVITY = "core_local_activity"
ORIGIN = "perdure"  # in the memo
NOTHING = Json()


@dataclass(frozen=True, slots=True)
class Draft:
    """An event whose payloads are still to be decoded."""

    payloads: Sequence[Payload]
    failure: FailureProto | None
    make: Callable[[Sequence[Json], Failure | None], Happened]


Reader = Callable[[HistoryEvent, int, datetime], Draft | None]


async def translate(events: Iterable[HistoryEvent], converter: DataConverter) -> list[Happened]:
    """Events that tell nothing of the run are left out."""
    drafts = [draft for draft in map(_draft, events) if draft is not None]
    sealed = [payload for draft in drafts for payload in draft.payloads]
    if converter.payload_codec is not None and sealed:
        sealed = await converter.payload_codec.decode(sealed)
    values = iter([as_json(payload, converter) for payload in sealed])
    happened: list[Happened] = []
    for draft in drafts:
        failure = None
        if draft.failure is not None:
            failure = failure_of(await converter.decode_failure(draft.failure))
        happened.append(draft.make([next(values) for _ in draft.payloads], failure))
    return happened


def as_json(payload: Payload, converter: DataConverter) -> Json:
    encoding = payload.metadata.get("encoding")
    if encoding == b"json/plain":
        return Json(payload.data)
    if encoding == b"binary/plain":
        return Json(to_json(base64.b64encode(payload.data).decode()))
    return Json(to_json(converter.payload_converter.from_payload(payload)))


def failure_of(error: BaseException) -> Failure:
    """The innermost cause that has a name; never its stack trace."""
    while isinstance(error, ActivityError | ChildWorkflowError) and error.cause is not None:
        error = error.cause
    match error:
        case ApplicationError():
            return _of_application_error(error)
        case TimeoutError() if error.type is TimeoutType.HEARTBEAT:
            return Failure(code=StepTimedOut.code, message="the worker that ran this step was lost")
        case TimeoutError():
            return Failure(code=StepTimedOut.code, message="the step took longer than it may")
        case CancelledError():
            return Failure(code="cancelled", message="the step was cancelled")
        case TerminatedError():
            return Failure(code="terminated", message="somebody ended it by force")
        case FailureError():
            return Failure(code="failed", message=error.message)
        case _:
            return Failure(code="failed", message=str(error))


def _of_application_error(error: ApplicationError) -> Failure:
    """Ours carry the failure as their one detail; another's keeps its type as the code."""
    detail: Any = error.details[0] if error.details else None
    if isinstance(detail, dict) and "code" in detail and "message" in detail:
        return Failure.model_validate(
            {name: detail[name] for name in Failure.model_fields if name in detail}
        )
    return Failure(code=error.type or "failed", message=error.message)


def _draft(event: HistoryEvent) -> Draft | None:
    read = READERS.get(event.event_type)
    if read is None:
        return None
    return read(event, event.event_id, event.event_time.ToDatetime(tzinfo=UTC))


def _plain(happened: Happened) -> Draft:
    return Draft((), None, lambda _values, _failure: happened)


def _first(payloads: Sequence[Payload]) -> Sequence[Payload]:
    return payloads[:1]


def _value(values: Sequence[Json]) -> Json:
    return values[0] if values else NOTHING


# The run


def _began(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.workflow_execution_started_event_attributes
    memo = [told.memo.fields[ORIGIN]] if ORIGIN in told.memo.fields else []
    continued = bool(told.continued_execution_run_id)
    return Draft(
        memo,
        None,
        lambda values, _: Began(
            id, at, told.workflow_id, told.workflow_type.name, _value(values), continued
        ),
    )


def _succeeded(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.workflow_execution_completed_event_attributes
    return Draft(
        _first(told.result.payloads),
        None,
        lambda values, _: Closed(id, at, "completed", _value(values), None, "", None),
    )


def _run_failed(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.workflow_execution_failed_event_attributes
    return Draft(
        (),
        told.failure,
        lambda _, failure: Closed(id, at, "failed", NOTHING, failure, "", None),
    )


def _run_cancelled(_event: HistoryEvent, id: int, at: datetime) -> Draft:
    return _plain(Closed(id, at, "cancelled", NOTHING, None, "", None))


def _terminated(event: HistoryEvent, id: int, at: datetime) -> Draft:
    reason = event.workflow_execution_terminated_event_attributes.reason
    return _plain(Closed(id, at, "terminated", NOTHING, None, reason, None))


def _timed_out(_event: HistoryEvent, id: int, at: datetime) -> Draft:
    return _plain(Closed(id, at, "timed_out", NOTHING, None, "", None))


def _continued(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.workflow_execution_continued_as_new_event_attributes
    following = told.new_execution_run_id
    return _plain(Closed(id, at, "continued", NOTHING, None, "", following))


def _cancel_asked(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.workflow_execution_cancel_requested_event_attributes
    return _plain(CancelAsked(id, at, told.cause))


def _signalled(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.workflow_execution_signaled_event_attributes
    return Draft(
        _first(told.input.payloads),
        None,
        lambda values, _: Signalled(id, at, told.signal_name, _value(values)),
    )


def _asked(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.workflow_execution_update_accepted_event_attributes.accepted_request.input
    return Draft(
        _first(told.args.payloads),
        None,
        lambda values, _: Asked(id, at, told.name, _value(values)),
    )


def _answered(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.workflow_execution_update_completed_event_attributes
    refused = told.outcome.failure if told.outcome.HasField("failure") else None
    return Draft(
        _first(told.outcome.success.payloads),
        refused,
        lambda values, failure: Answered(id, at, told.accepted_event_id, _value(values), failure),
    )


# Activities


def _scheduled(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.activity_task_scheduled_event_attributes
    return Draft(
        _first(told.input.payloads),
        None,
        lambda values, _: Scheduled(
            id, at, told.activity_id, told.activity_type.name, _value(values)
        ),
    )


def _attempted(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.activity_task_started_event_attributes
    return _plain(Attempted(id, at, told.scheduled_event_id, told.attempt))


def _completed(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.activity_task_completed_event_attributes
    return Draft(
        _first(told.result.payloads),
        None,
        lambda values, _: Completed(id, at, told.scheduled_event_id, _value(values)),
    )


def _activity_failed(event: HistoryEvent, id: int, at: datetime) -> Draft:
    failed = event.HasField("activity_task_failed_event_attributes")
    told = (
        event.activity_task_failed_event_attributes
        if failed
        else event.activity_task_timed_out_event_attributes
    )
    return Draft(
        (),
        told.failure,
        lambda _, failure: Failed(id, at, told.scheduled_event_id, _known(failure)),
    )


def _activity_cancelled(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.activity_task_canceled_event_attributes
    return _plain(Cancelled(id, at, told.scheduled_event_id))


def _marked(event: HistoryEvent, id: int, at: datetime) -> Draft | None:
    """A local activity that failed is no event of ours: a normal one follows it."""
    told = event.marker_recorded_event_attributes
    if told.marker_name != LOCAL_ACTIVITY or told.HasField("failure"):
        return None
    payloads = [*told.details["data"].payloads[:1], *told.details["result"].payloads[:1]]
    if not payloads:
        return None
    return Draft(
        payloads,
        None,
        lambda values, _: Marked(
            id, at, str(values[0].fields().get("activity_type")), _value(values[1:])
        ),
    )


# Children and timers


def _child_initiated(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.start_child_workflow_execution_initiated_event_attributes
    return _plain(ChildInitiated(id, at, told.workflow_id, told.workflow_type.name))


def _child_completed(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.child_workflow_execution_completed_event_attributes
    return Draft(
        _first(told.result.payloads),
        None,
        lambda values, _: ChildClosed(
            id, at, told.initiated_event_id, "completed", _value(values), None
        ),
    )


def _child_failed(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.child_workflow_execution_failed_event_attributes
    return Draft(
        (),
        told.failure,
        lambda _, failure: _child_lost(id, at, told.initiated_event_id, _known(failure)),
    )


def _child_not_started(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.start_child_workflow_execution_failed_event_attributes
    failure = Failure(code=ChildFailed.code, message="the child run could not be started")
    return _plain(_child_lost(id, at, told.initiated_event_id, failure))


def _child_cancelled(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.child_workflow_execution_canceled_event_attributes
    return _plain(ChildClosed(id, at, told.initiated_event_id, "cancelled", NOTHING, None))


def _child_terminated(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.child_workflow_execution_terminated_event_attributes
    failure = Failure(code="terminated", message="somebody ended it by force")
    return _plain(_child_lost(id, at, told.initiated_event_id, failure))


def _child_timed_out(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.child_workflow_execution_timed_out_event_attributes
    failure = Failure(code="run_timed_out", message="the run took longer than it may")
    return _plain(_child_lost(id, at, told.initiated_event_id, failure))


def _child_lost(id: int, at: datetime, initiated: int, failure: Failure) -> ChildClosed:
    return ChildClosed(id, at, initiated, "failed", NOTHING, failure)


def _timer_set(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.timer_started_event_attributes
    until = at + told.start_to_fire_timeout.ToTimedelta()
    summary = [event.user_metadata.summary] if event.user_metadata.HasField("summary") else []
    return Draft(
        summary,
        None,
        lambda values, _: TimerSet(id, at, values[0].load() if values else None, until),
    )


def _timer_fired(event: HistoryEvent, id: int, at: datetime) -> Draft:
    return _plain(TimerEnded(id, at, event.timer_fired_event_attributes.started_event_id, "fired"))


def _timer_cancelled(event: HistoryEvent, id: int, at: datetime) -> Draft:
    told = event.timer_canceled_event_attributes
    return _plain(TimerEnded(id, at, told.started_event_id, "cancelled"))


def _known(failure: Failure | None) -> Failure:
    return failure or Failure(code="failed", message="no reason was given")


READERS: dict[int, Reader] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: _began,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: _succeeded,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: _run_failed,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: _run_cancelled,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: _terminated,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: _timed_out,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: _continued,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: _cancel_asked,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: _signalled,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: _asked,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED: _answered,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: _scheduled,
    EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED: _attempted,
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: _completed,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: _activity_failed,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: _activity_failed,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: _activity_cancelled,
    EventType.EVENT_TYPE_MARKER_RECORDED: _marked,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: _child_initiated,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED: _child_not_started,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED: _child_completed,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED: _child_failed,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED: _child_cancelled,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED: _child_terminated,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT: _child_timed_out,
    EventType.EVENT_TYPE_TIMER_STARTED: _timer_set,
    EventType.EVENT_TYPE_TIMER_FIRED: _timer_fired,
    EventType.EVENT_TYPE_TIMER_CANCELED: _timer_cancelled,
}
