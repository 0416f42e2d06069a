"""What a provider or the way to it did wrong, as one of our errors."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from core.errors import (
    BadResponse,
    ConnectionFailed,
    ContextWindow,
    InvalidKey,
    InvalidModelRequest,
    ModelConfig,
    ModelError,
    ModelNotFound,
    Overloaded,
    ProviderConflict,
    ProviderError,
    ProviderPermission,
    ProviderTimeout,
    QuotaExhausted,
    RateLimited,
    RequestTooLarge,
)

LONGEST_MESSAGE = 400
LONGEST_READ = 10_000  # of a message, for what it says: looking through megabytes stops a worker
LONGEST_WAIT = timedelta(days=1)
USABLE_KEY = re.compile(r"[\x21-\x7e]{8,512}")
RULE = re.compile(r"\[([a-z0-9]+(?:-[a-z0-9]+)+)\]")

# These say more than the status they come with.
BY_TELLING_CODE: dict[str, type[ModelError]] = {
    "insufficient_quota": QuotaExhausted,
    "enforced_spend_limit_reached": QuotaExhausted,
    "billing_error": QuotaExhausted,
    "billing_hard_limit_reached": QuotaExhausted,
    "billing_not_active": QuotaExhausted,
    "context_length_exceeded": ContextWindow,
    "model_context_window_exceeded": ContextWindow,
    "invalid_api_key": InvalidKey,
    "api_key_invalid": InvalidKey,
    "model_not_found": ModelNotFound,
    "invalid_model": ModelNotFound,
}
BY_PHRASE: tuple[tuple[str, type[ModelError]], ...] = (
    (r"credit balance|insufficient (credit|balance|funds)|spend(ing)? limit", QuotaExhausted),
    (r"prompt is too long|maximum context length|context (window|length)", ContextWindow),
    (r"api key not valid|incorrect api key|invalid api key", InvalidKey),
    (r"not a valid model id|model .{0,100}(does not exist|not found)", ModelNotFound),
)
# Phrases count only where the status leaves it open what is wrong.
PHRASES_COUNT = (None, 400, 402, 403, 404, 422, 429)
BY_STATUS: dict[int, type[ModelError]] = {
    401: InvalidKey,
    402: QuotaExhausted,
    403: ProviderPermission,
    404: ModelNotFound,
    405: ModelConfig,
    407: ModelConfig,
    408: ProviderTimeout,
    409: ProviderConflict,
    413: RequestTooLarge,
    425: ProviderConflict,
    429: RateLimited,
    503: Overloaded,
    504: ProviderTimeout,
    529: Overloaded,
}
BY_CODE: dict[str, type[ModelError]] = {
    "overloaded_error": Overloaded,
    "overloaded": Overloaded,
    "rate_limit_error": RateLimited,
    "rate_limit_exceeded": RateLimited,
    "timeout_error": ProviderTimeout,
    "authentication_error": InvalidKey,
    "permission_error": ProviderPermission,
    "not_found_error": ModelNotFound,
    "request_too_large": RequestTooLarge,
    "invalid_request_error": InvalidModelRequest,
}


@dataclass(frozen=True)
class Refusal:
    """What was answered instead of an answer; `status` is None where it came inside of one."""

    status: int | None = None
    codes: frozenset[str] = frozenset()
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    structured: bool = True

    @property
    def error(self) -> type[ModelError]:
        for code in self.codes & BY_TELLING_CODE.keys():
            return BY_TELLING_CODE[code]
        if self.status in PHRASES_COUNT:
            for phrase, error in BY_PHRASE:
                if re.search(phrase, self.message[:LONGEST_READ], re.IGNORECASE):
                    return error
        return self._by_status() if self.status is not None else self._by_code()

    def _by_status(self) -> type[ModelError]:
        status = self.status or 0
        if status == 404 and not self.structured:
            return ModelConfig  # a page that is not there, not a model
        if status in BY_STATUS:
            return BY_STATUS[status]
        if 300 <= status < 400:
            return ModelConfig
        return InvalidModelRequest if status < 500 else ProviderError

    def _by_code(self) -> type[ModelError]:
        for code in self.codes & BY_CODE.keys():
            return BY_CODE[code]
        return ProviderError


def refusal(status: int | None, body: Any, headers: Mapping[str, str]) -> Refusal:
    """Reads the shapes that vendors give their errors; anything else is kept as text."""
    if isinstance(body, list) and body:
        body = body[0]
    inner = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(inner, dict):
        text = inner if isinstance(inner, str) else ""
        page = text.lstrip().startswith("<")
        return Refusal(status, message="" if page else text, headers=headers, structured=False)
    details = inner.get("details")
    named = [inner.get("type"), inner.get("code"), inner.get("status")]
    if isinstance(details, dict):
        named.append(details.get("error_code"))
    codes = frozenset(str(each).lower() for each in named if each is not None)
    numbers = [int(code) for code in codes if re.fullmatch("[45][0-9]{2}", code)]
    if status is None and numbers:
        status = numbers[0]
    return Refusal(status, codes, str(inner.get("message") or ""), headers)


@dataclass(frozen=True)
class Asked:
    """Who was asked, and with what key: it is kept out of every message."""

    provider: str
    model: str
    key: str

    def refused(self, refusal: Refusal, **data: Any) -> ModelError:
        status = refusal.status
        error = refusal.error
        said = self.clean(refusal.message)
        told = f"{self.provider} answered {status}" if status else f"{self.provider} broke off"
        if rule := RULE.search(said):
            data["rule"] = rule[1]
        if status is not None and status >= 400 and "in_stream" not in data:
            data["processed"] = "no"
        return self.error(
            error,
            f"{told}: {said}" if said else told,
            retry_after=retry_after(refusal.headers, datetime.now(UTC)),
            status=status,
            **data,
        )

    def unreachable(self, error: Exception, **data: Any) -> ModelError:
        """`error` is of the transport; what it says may hold the key, so it is not repeated."""
        name = type(error).__name__
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
            message = f"{self.provider} cannot be reached ({name})"
            return self.error(ConnectionFailed, message, processed="no", **data)
        if isinstance(error, httpx2.TimeoutException):
            return self.error(ProviderTimeout, f"{self.provider} fell silent ({name})", **data)
        if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
            return self.error(ModelConfig, f"{self.provider}'s address cannot be used", **data)
        if isinstance(error, httpx2.DecodingError):
            message = f"{self.provider}'s answer cannot be unpacked"
            return self.error(BadResponse, message, **data)
        if not isinstance(error, httpx2.HTTPError | OSError):
            message = f"the request to {self.provider} cannot be sent ({name})"
            return self.error(InvalidModelRequest, message, processed="no")
        message = f"the connection to {self.provider} broke ({name})"
        return self.error(ConnectionFailed, message, **data)

    def unreadable(self, what: str, **data: Any) -> ModelError:
        return self.error(BadResponse, f"{self.provider} answered {self.clean(what)}", **data)

    def error(
        self,
        error: type[ModelError],
        message: str,
        *,
        retry_after: timedelta | None = None,
        **data: Any,
    ) -> ModelError:
        known = {key: value for key, value in data.items() if value is not None}
        known |= {"provider": self.provider, "model": self.model}
        wait = retry_after if error.retryable else None
        return error(message, retry_after=wait, **known)

    def clean(self, text: str) -> str:
        text = text.replace(self.key, "[key]") if self.key else text
        return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 1]}…"


def check_key(key: str, provider: str) -> None:
    """Before anything is sent: the libraries take an odd key for a broken network, or worse."""
    if not USABLE_KEY.fullmatch(key):
        raise InvalidKey(
            f"the key for {provider} is none: 8 to 512 visible ASCII characters without spaces",
            provider=provider,
            processed="no",
        )


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Milliseconds, seconds or a date; None where nothing usable is said."""
    if (exact := _number(headers.get("retry-after-ms"))) is not None:
        return min(timedelta(milliseconds=exact), LONGEST_WAIT)
    text = headers.get("retry-after")
    if (seconds := _number(text)) is not None:
        return min(timedelta(seconds=seconds), LONGEST_WAIT)
    try:
        when = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max(when - now, timedelta(0)), LONGEST_WAIT)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return min(value, LONGEST_WAIT.total_seconds() * 1000) if 0 <= value < math.inf else None
