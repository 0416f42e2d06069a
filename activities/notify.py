import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NoReturn, Protocol
from zoneinfo import ZoneInfo

from temporalio import activity

from activities.attempts import AttemptNotes, fail
from activities.beginnings import Beginnings
from activities.failures import failure_of
from core.effects import NOTIFY, NotifyRequest
from core.errors import NotifyFailedForNow, PerdureError, StepTimedOut, Unavailable
from core.notice import Draft
from core.report import Occasion

log = logging.getLogger("perdure.steps")
TOLD_WITHIN = timedelta(minutes=1)
ASK_AGAIN_AFTER_SECONDS = 1.0


class Notifier(Protocol):
    def draft(self, message: Any, occasion: Occasion) -> Draft: ...

    async def send(self, workspace: str, draft: Draft) -> str | None:
        """Why nobody was told, where that is no failure; raises where it is one."""
        ...


class Deliveries(Protocol):
    async def find(self, workspace: str, effect_key: str) -> dict[str, Any] | None: ...

    async def keep(
        self, workspace: str, effect_key: str, run_id: str, channel: str, answer: dict[str, Any]
    ) -> None: ...


class Links(Protocol):
    def report(self, run_id: str) -> str | None: ...


class Authors(Protocol):
    async def by_demo(self, workspace: str, lineage: str) -> bool: ...


class NotifyActivities:
    """Tells people once: the same effect is looked up before, and kept after it was delivered.

    A worker that dies between the channel's answer and the row tells them again.
    """

    def __init__(
        self,
        notifiers: Mapping[str, Notifier],
        deliveries: Deliveries,
        links: Links,
        authors: Authors,
        attempts: AttemptNotes,
        beginnings: Beginnings,
    ) -> None:
        self._notifiers = notifiers
        self._deliveries = deliveries
        self._links = links
        self._authors = authors
        self._attempts = attempts
        self._beginnings = beginnings

    @activity.defn(name=NOTIFY)
    async def send(self, request: NotifyRequest) -> dict[str, Any]:
        self._beginnings.tell(request.began)
        limit = request.timeout or TOLD_WITHIN
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return await self._once(request)
        except PerdureError as error:
            await self._fail(request, error)
        except TimeoutError:
            message = f"`{request.channel}` took longer than {limit.total_seconds():g} s"
            await self._fail(request, StepTimedOut(message))
        except Exception as error:
            # The text of an unknown error may hold where it was sent; its name does not.
            name = type(error).__name__
            log.error("%s %s: %s", request.context.run, request.context.path, name)
            await self._fail(request, NotifyFailedForNow(f"{request.channel}: {name}"))

    async def _once(self, request: NotifyRequest) -> dict[str, Any]:
        context = request.context
        key = f"{context.lineage}:{context.path}:{request.digest}"
        known = await self._deliveries.find(context.workspace, key)
        if known is not None:
            return known
        answer = await self._told(request)
        if answer["posted"]:
            await self._keep(context.workspace, key, context.run, request.channel, answer)
        return answer

    async def _told(self, request: NotifyRequest) -> dict[str, Any]:
        context = request.context
        notifier = self._notifiers.get(request.channel)
        if notifier is None:
            # A newer worker may know it: worth another attempt.
            raise NotifyFailedForNow(f"this worker has no channel `{request.channel}`")
        occasion = Occasion(
            run_id=context.run,
            skill=context.skill,
            workspace=request.workspace.name,
            at=datetime.now(ZoneInfo(request.workspace.timezone)),
            link=self._links.report(context.run),
            by_demo=await self._authors.by_demo(context.workspace, context.lineage),
        )
        draft = notifier.draft(request.message, occasion)
        told: dict[str, Any] = {"posted": False, "channel": request.channel}
        if context.mode == "dry":
            return {**told, "dry_run": True, **draft.told}
        reason = await notifier.send(context.workspace, draft)
        if reason is not None:
            return {**told, "reason": reason}
        return {**told, "posted": True, **draft.told}

    async def _keep(self, *row: Any) -> None:
        """Waits for a store that is away: to fail now would tell people again."""
        while True:
            try:
                return await self._deliveries.keep(*row)
            except Unavailable:
                await asyncio.sleep(ASK_AGAIN_AFTER_SECONDS)

    async def _fail(self, request: NotifyRequest, error: PerdureError) -> NoReturn:
        attempt = activity.info().attempt
        failure = failure_of(error, request.context.path, attempt)
        last = request.attempts is not None and attempt >= request.attempts
        final = not error.retryable or last
        await fail(self._attempts, request.context, error, failure, final=final)
