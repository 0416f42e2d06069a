from datetime import timedelta
from typing import Any, ClassVar

from core.model import Frozen


class FieldFault(Frozen):
    field: str
    message: str


class PerdureError(Exception):
    """A failure with a name: `code` is stable, `data` is for the reader and holds no secret."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: timedelta | None = None, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.data = data


# What a caller did


class Invalid(PerdureError):
    """Bad input; `errors` names each field."""

    code = "invalid"

    def __init__(self, message: str, errors: list[FieldFault] | None = None, **data: Any) -> None:
        super().__init__(message, **data)
        self.errors = errors or []


class InvalidInputs(Invalid):
    code = "invalid_inputs"


class InvalidSkill(Invalid):
    """A bundle with faults; they are in `data["faults"]`, with file and line."""

    code = "invalid_skill"


class NotFound(PerdureError):
    code = "not_found"


class Unauthorized(PerdureError):
    code = "unauthorized"


class Forbidden(PerdureError):
    code = "forbidden"


class Conflict(PerdureError):
    code = "conflict"


class AlreadyExists(Conflict):
    code = "already_exists"


class RunEnded(Conflict):
    code = "run_ended"


class RunNotEnded(Conflict):
    code = "run_not_ended"


class NotPending(Conflict):
    code = "not_pending"


class IdempotencyKeyReused(Conflict):
    code = "idempotency_key_reused"


class HistoryGone(Conflict):
    code = "history_gone"


class BuiltIn(Conflict):
    code = "built_in"


class Unavailable(PerdureError):
    """Temporal or Postgres does not answer."""

    code = "unavailable"
    retryable = True


# What went wrong inside a step


class StepError(PerdureError):
    code = "step_failed"


class ExpressionFailed(StepError):
    code = "expression_failed"


class ToolUnknown(StepError):
    code = "tool_unknown"


class ToolNotAllowed(StepError):
    code = "tool_not_allowed"


class InvalidArguments(StepError):
    code = "invalid_arguments"


class ToolFailed(StepError):
    """The tool raised something unexpected; worth another attempt."""

    code = "tool_failed"
    retryable = True


class StepTimedOut(StepError):
    code = "step_timed_out"
    retryable = True


class ValueTooLarge(StepError):
    code = "value_too_large"


class TooManyItems(StepError):
    code = "too_many_items"


class TooDeep(StepError):
    code = "too_deep"


class ApprovalNeeded(StepError):
    """A model asked for a write where a person is asked first."""

    code = "approval_needed"


class ApprovalRejected(StepError):
    code = "approval_rejected"


class ApprovalTimedOut(StepError):
    code = "approval_timed_out"


class WaitTimedOut(StepError):
    """The event that a step waited for did not come in time."""

    code = "wait_timed_out"


class ChildFailed(StepError):
    code = "child_failed"


class SecretMissing(StepError):
    code = "secret_missing"


class SecretNotAllowed(StepError):
    code = "secret_not_allowed"


class AddressRefused(StepError):
    code = "address_refused"


class HttpFailed(StepError):
    """The other side answered 400 or above, or could not be reached."""

    code = "http_failed"


class HttpFailedForNow(HttpFailed):
    retryable = True


# What sources of business data did


class SourceError(StepError):
    """A reading failed; `data` may hold status, scopes, policy."""

    code = "source_failed"


class SourceRefused(SourceError):
    """The token or password was refused; another attempt with the same one is too."""

    code = "source_refused"


class SourceForbidden(SourceError):
    """It is known there, but may not read this; `data["scopes"]` names what it needs."""

    code = "source_forbidden"


class SourceRejected(SourceError):
    """The source did not accept the question itself."""

    code = "source_rejected"


class SourceBusy(SourceError):
    code = "source_busy"
    retryable = True


class SourceUnavailable(SourceError):
    code = "source_unavailable"
    retryable = True


class SourceUnreadable(SourceError):
    """An answer that is not what was asked for; often the next one is."""

    code = "source_unreadable"
    retryable = True


# What those did who pass on to people what a run has to tell


class NotifyFailed(StepError):
    """`data` may hold the status of the answer, and the channel's own word for what is wrong."""

    code = "notify_failed"


class NotifyFailedForNow(NotifyFailed):
    retryable = True


class WebhookGone(NotifyFailed):
    code = "webhook_gone"


class ChannelClosed(NotifyFailed):
    code = "channel_closed"


class MessageRefused(NotifyFailed):
    code = "message_refused"


class SyncTakenOver(SourceError):
    """Another sync of the source has begun; this one may write nothing any more."""

    code = "sync_taken_over"


# What models and their providers did


class ModelError(StepError):
    """`data` may hold provider, model, status, in_stream; processed="no" if nothing ran."""

    code = "model_failed"


class RateLimited(ModelError):
    code = "rate_limited"
    retryable = True


class Overloaded(ModelError):
    code = "overloaded"
    retryable = True


class ProviderError(ModelError):
    code = "server_error"
    retryable = True


class ProviderTimeout(ModelError):
    code = "timeout"
    retryable = True


class ConnectionFailed(ModelError):
    code = "connection"
    retryable = True


class ProviderConflict(ModelError):
    code = "conflict"
    retryable = True


class BadResponse(ModelError):
    """An answer that cannot be read: worth one more attempt, not many."""

    code = "bad_response"
    retryable = True


class InvalidKey(ModelError):
    code = "invalid_key"


class ProviderPermission(ModelError):
    code = "permission"


class QuotaExhausted(ModelError):
    """The account behind the key has no credit, whatever the workspace's budget says."""

    code = "quota_exhausted"


class ModelNotFound(ModelError):
    code = "model_not_found"


class RequestTooLarge(ModelError):
    code = "request_too_large"


class ContextWindow(ModelError):
    code = "context_window"


class InvalidModelRequest(ModelError):
    """We broke a rule of the wire; `data["rule"]` names it where the provider did."""

    code = "invalid_request"


class BudgetExceeded(ModelError):
    code = "budget_exceeded"


class BudgetCrowded(ModelError):
    """What calls under way hold may be free as soon as they have settled."""

    code = "budget_crowded"
    retryable = True


class RunTokensExhausted(ModelError):
    """The run's own limit: no reset will change it."""

    code = "run_tokens_exhausted"


class ModelConfig(ModelError):
    """Routing, an address or a flag is wrong; no attempt can mend it."""

    code = "config"
