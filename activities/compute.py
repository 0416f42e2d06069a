import asyncio
import json
import logging
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, NoReturn, Protocol

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from activities.attempts import AttemptNotes, fail
from activities.beginnings import Beginnings
from activities.failures import failure_of
from activities.secrets import OpenedSecrets, SecretSource, open_secrets
from core.depth import MAX_DEPTH, too_deep
from core.effects import MAX_VALUE_BYTES, TOOL, ToolRequest
from core.errors import (
    ApprovalNeeded,
    InvalidArguments,
    PerdureError,
    StepTimedOut,
    ToolFailed,
    ToolNotAllowed,
    ValueTooLarge,
)
from core.run import Failure
from core.tool import Effect, Tool, ToolContext

log = logging.getLogger("perdure.steps")
ATTEMPTS_OF_A_WRITE = 3


class NotJson(ToolFailed):
    """Another attempt would do the same once more, for the same answer."""

    retryable = False


class Tools(Protocol):
    def get(self, name: str) -> Tool:
        """Raises ToolUnknown, with the nearest name."""
        ...


class ComputeActivities:
    """Calls tools; `tool.<name>` is the activity's type, so that Temporal's views name them."""

    def __init__(
        self, tools: Tools, secrets: SecretSource, attempts: AttemptNotes, beginnings: Beginnings
    ) -> None:
        self._beginnings = beginnings
        self._tools = tools
        self._secrets = secrets
        self._attempts = attempts

    @activity.defn(dynamic=True)
    async def call(self, args: Sequence[RawValue]) -> Any:
        kind = activity.info().activity_type
        if not kind.startswith(TOOL) or not args:
            # A newer worker may know it: worth another attempt.
            raise ApplicationError(f"this worker has no activity `{kind}`", type="activity_unknown")
        request = activity.payload_converter().from_payload(args[0].payload, ToolRequest)
        self._beginnings.tell(request.began)
        secrets = OpenedSecrets()
        effect: Effect = "write"
        try:
            tool = self._tools.get(kind.removeprefix(TOOL))
            secrets = await open_secrets(self._secrets, request)
            arguments = checked(tool, secrets.arguments)
            effect = tool.effect(arguments)
            allow(tool, effect, request)
            if effect == "write" and request.context.mode == "dry":
                return {"dry_run": True, "tool": tool.name, "arguments": request.arguments}
            return secrets.hide_in(kept(await self._timed(tool, arguments, request, secrets)))
        except PerdureError as error:
            await self._fail(request, error, effect, secrets)
        except Exception as error:
            named = ToolFailed(f"{type(error).__name__}: {error}")
            await self._fail(request, named, effect, secrets)

    async def _timed(
        self, tool: Tool, arguments: Any, request: ToolRequest, secrets: OpenedSecrets
    ) -> Any:
        context = ToolContext(
            run=request.context,
            effect_key=f"{request.context.lineage}:{request.context.path}:{request.digest}",
            secrets=secrets.hosts,
        )
        limit = request.timeout or tool.timeout
        clock = asyncio.timeout(limit.total_seconds())
        try:
            async with clock:
                return await tool.call(arguments, context)
        except TimeoutError:
            if not clock.expired():
                raise  # the tool's own, of something inside it
            message = f"`{tool.name}` took longer than {limit.total_seconds():g} s"
            raise StepTimedOut(message) from None

    async def _fail(
        self, request: ToolRequest, error: PerdureError, effect: Effect, secrets: OpenedSecrets
    ) -> NoReturn:
        attempt = activity.info().attempt
        failure = failure_of(error, request.context.path, attempt)
        failure = Failure.model_validate(secrets.hide_in(failure.model_dump(mode="json")))
        limit = request.attempts or (ATTEMPTS_OF_A_WRITE if effect == "write" else None)
        final = not error.retryable or (limit is not None and attempt >= limit)
        await fail(self._attempts, request.context, error, failure, final=final)


def checked(tool: Tool, arguments: dict[str, Any]) -> Any:
    try:
        return tool.arguments.model_validate(arguments)
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc']) or 'arguments'}: {expected(fault)}"
            for fault in error.errors(include_input=False, include_url=False)
        ]
        raise InvalidArguments(f"`{tool.name}`: {'; '.join(faults)}") from None


def expected(fault: ErrorDetails) -> str:
    return fault["msg"].removeprefix("Value error, ")


def allow(tool: Tool, effect: Effect, request: ToolRequest) -> None:
    """Where SKILL.md lists no tools, those that only read are allowed."""
    allowed = request.allowed_tools
    if tool.own:
        return
    if allowed is None and effect == "write":
        raise ToolNotAllowed(
            f"`{tool.name}` writes here, and SKILL.md does not list it under allowed-tools"
        )
    if allowed is not None and not any(fnmatchcase(tool.name, pattern) for pattern in allowed):
        raise ToolNotAllowed(f"SKILL.md does not list `{tool.name}` under allowed-tools")
    offered = request.offered
    if offered is not None and not any(fnmatchcase(tool.name, pattern) for pattern in offered):
        raise ToolNotAllowed(f"this step does not offer `{tool.name}`")
    if effect == "write" and request.approve_writes == "always":
        raise ApprovalNeeded(f"`{tool.name}` writes here, so a person is asked first")


def kept(output: Any) -> Any:
    """Only JSON goes into a history, and not too much of it."""
    try:
        size = len(json.dumps(output, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError) as error:
        raise NotJson(f"the tool's output is not JSON: {error}") from None
    if size > MAX_VALUE_BYTES:
        raise ValueTooLarge(
            f"the output is {size:,} bytes; at most {MAX_VALUE_BYTES:,} are kept", size=size
        )
    if too_deep(output):
        raise ValueTooLarge(f"the output is nested deeper than {MAX_DEPTH} levels")
    return output
