from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from temporalio import activity

from activities.failures import as_application_error, failure_of, reports_failures
from core.callback import (
    ANSWER_WITHIN,
    FIRST_BACKOFF,
    GONE,
    LONGEST_BACKOFF,
    CallbackAnswer,
    CallbackOutcome,
    CallbackRequest,
    body_of,
    headers_of,
)
from core.effects import CALLBACK_POST, CALLBACK_SETTLE
from core.errors import HttpFailedForNow, PerdureError, Unavailable
from core.run import ENDED, Run

log = logging.getLogger("perdure.callbacks")


class Callbacks(Protocol):
    async def begin(self, request: CallbackRequest, attempt: int) -> str | None:
        """Where to post to; None where nothing is left to tell."""
        ...

    async def failed(self, request: CallbackRequest, status: int | None, error: str) -> None: ...

    async def delivered(self, request: CallbackRequest) -> None: ...

    async def gave_up(self, request: CallbackRequest, error: str | None) -> None: ...


class Runs(Protocol):
    async def find(self, run_id: str, workspace: str | None) -> Run | None: ...


class SigningSecrets(Protocol):
    async def signing(self, workspace: str) -> Sequence[bytes]: ...


class Links(Protocol):
    def of(self, run_id: str) -> dict[str, str]: ...


class Posted(Protocol):
    @property
    def status(self) -> int: ...

    @property
    def retry_after(self) -> timedelta | None: ...


class Post(Protocol):
    async def post(
        self, url: str, headers: Mapping[str, str], content: bytes, within: timedelta
    ) -> Posted:
        """Whatever the status; raises where no answer came."""
        ...


class CallbackActivities:
    def __init__(
        self, callbacks: Callbacks, runs: Runs, secrets: SigningSecrets, links: Links, post: Post
    ) -> None:
        self._callbacks = callbacks
        self._runs = runs
        self._secrets = secrets
        self._links = links
        self._post = post

    @activity.defn(name=CALLBACK_POST)
    async def post(self, request: CallbackRequest) -> CallbackAnswer:
        """One try; whatever goes wrong is worth another, for a receiver may be mended."""
        attempt = activity.info().attempt
        try:
            answer = await self._try(request, attempt)
        except PerdureError as error:
            await self._note(request, None, error.message)
            failure = failure_of(error, None, attempt)
            raise as_application_error(error, failure, final=False) from None
        if answer is None:
            return CallbackAnswer(status=None)
        if answer.status // 100 == 2 or answer.status == GONE:
            return CallbackAnswer(status=answer.status)
        error = HttpFailedForNow(
            f"it answered {answer.status}",
            retry_after=later(answer.retry_after, attempt),
            status=answer.status,
        )
        await self._note(request, answer.status, error.message)
        failure = failure_of(error, None, attempt)
        raise as_application_error(error, failure, final=False)

    @activity.defn(name=CALLBACK_SETTLE)
    @reports_failures
    async def settle(self, outcome: CallbackOutcome) -> None:
        match outcome.status:
            case "delivered":
                await self._callbacks.delivered(outcome.request)
            case "gave_up":
                await self._callbacks.gave_up(outcome.request, outcome.error)

    async def _try(self, request: CallbackRequest, attempt: int) -> Posted | None:
        url = await self._callbacks.begin(request, attempt)
        if url is None:
            return None
        run = await self._runs.find(request.run, request.workspace)
        if run is None or run.status not in ENDED:
            raise Unavailable("the run's row does not say yet how it ended")
        body = body_of(run, self._links.of(run.run_id))
        secrets = await self._secrets.signing(request.workspace)
        headers = headers_of(run.run_id, datetime.now(UTC), body, secrets)
        return await self._post.post(url, headers, body, ANSWER_WITHIN)

    async def _note(self, request: CallbackRequest, status: int | None, error: str) -> None:
        log.info("%s is not called back yet: %s", request.run, error)
        try:
            await self._callbacks.failed(request, status, error)
        except PerdureError as away:
            log.warning("a try to call back for %s is not noted: %s", request.run, away.message)


def later(asked: timedelta | None, attempt: int) -> timedelta | None:
    """What the receiver asked for, where it is longer than our own patience by now."""
    backoff = min(FIRST_BACKOFF * 2 ** min(attempt - 1, 20), LONGEST_BACKOFF)
    return asked if asked is not None and asked > backoff else None
