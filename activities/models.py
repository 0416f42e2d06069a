import asyncio
import logging
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, NoReturn, Protocol

from temporalio import activity

from activities.attempts import AttemptNotes, fail
from activities.beginnings import Beginnings
from activities.failures import failure_of
from core.effects import MODEL, ModelReply, ModelRequest
from core.errors import BadResponse, PerdureError, ToolFailed
from core.llm import Guide, ModelQuestion, OfferedTool
from core.tool import ToolSpec

log = logging.getLogger("perdure.steps")
DEFAULT_MAX_TOKENS = 4_096
ATTEMPTS_A_ROUND = 1_000


class Router(Protocol):
    async def answer(
        self,
        request: ModelRequest,
        question: ModelQuestion,
        attempt: int,
        failed_with: Sequence[str],
        is_last: Callable[[PerdureError | asyncio.CancelledError], bool],
    ) -> ModelReply:
        """Chooses the model, pays from the budget, asks; `failed_with` are codes.

        `is_last` says of a failure or a cancellation whether no other attempt follows.
        """
        ...


class Tools(Protocol):
    def specs(self) -> tuple[ToolSpec, ...]: ...


class Guides(Protocol):
    async def guide(self, workspace: str, skill: str, version: str) -> Guide:
        """SKILL.md and its files as they were in this version."""
        ...


class Notes(AttemptNotes, Protocol):
    async def codes(self, run_id: str, workspace: str, path: str) -> tuple[str, ...]:
        """What the attempts until now failed with."""
        ...


class ModelActivities:
    def __init__(
        self,
        router: Router,
        tools: Tools,
        guides: Guides,
        attempts: Notes,
        beginnings: Beginnings,
    ) -> None:
        self._beginnings = beginnings
        self._router = router
        self._tools = tools
        self._guides = guides
        self._attempts = attempts

    @activity.defn(name=MODEL)
    async def call(self, request: ModelRequest) -> ModelReply:
        self._beginnings.tell(request.began)
        failed_with: tuple[str, ...] = ()
        try:
            failed_with = await self._failed_with(request)
            question = await self._question(request)
            attempt = request.round * ATTEMPTS_A_ROUND + activity.info().attempt
            last = partial(nobody_follows, request, failed_with)
            return await self._router.answer(request, question, attempt, failed_with, last)
        except PerdureError as error:
            await self._fail(request, error, failed_with)
        except Exception as error:
            # The text of an unknown error may hold what was sent; its name does not.
            log.exception("%s %s", request.context.run, request.context.path)
            unknown = ToolFailed(f"the model could not be asked: {type(error).__name__}")
            await self._fail(request, unknown, failed_with)

    async def _failed_with(self, request: ModelRequest) -> tuple[str, ...]:
        info = activity.info()
        if info.attempt == 1:
            return ()
        context = request.context
        return await self._attempts.codes(context.run, context.workspace, info.activity_id)

    async def _question(self, request: ModelRequest) -> ModelQuestion:
        context = request.context
        guide = Guide(instructions="")
        if request.instructions:
            guide = await self._guides.guide(context.workspace, request.skill, request.version)
        return ModelQuestion(
            model=request.model or "",
            system=introduced(guide),
            turns=request.turns,
            tools=self._offered(request, guide),
            output_schema=request.output_schema,
            max_tokens=request.max_tokens or DEFAULT_MAX_TOKENS,
        )

    def _offered(self, request: ModelRequest, guide: Guide) -> tuple[OfferedTool, ...]:
        """Sorted, so that providers can cache what does not change."""
        if request.tools is None:
            return ()
        return tuple(
            OfferedTool(
                name=spec.name,
                description=spec.description,
                parameters=of_files(spec, guide) if spec.own else spec.arguments,
            )
            for spec in sorted(self._tools.specs(), key=lambda spec: spec.name)
            if (bool(guide.files) if spec.own else offers(request, spec))
        )

    async def _fail(
        self, request: ModelRequest, error: PerdureError, failed_with: Sequence[str]
    ) -> NoReturn:
        failure = failure_of(error, request.context.path, activity.info().attempt)
        final = is_last(request, failed_with, error)
        await fail(self._attempts, request.context, error, failure, final=final)


def is_last(request: ModelRequest, failed_with: Sequence[str], error: PerdureError) -> bool:
    if not error.retryable or attempts_are_used_up(request):
        return True
    # What cannot be read twice will not be readable a third time, and each costs.
    return isinstance(error, BadResponse) and error.code in failed_with


def attempts_are_used_up(request: ModelRequest) -> bool:
    info = activity.info()
    # Where the step does not say, the workflow's own policy does.
    most = request.attempts or (info.retry_policy.maximum_attempts if info.retry_policy else 0)
    return 0 < most <= info.attempt


def nobody_follows(
    request: ModelRequest, failed_with: Sequence[str], why: PerdureError | asyncio.CancelledError
) -> bool:
    """Whether no other attempt takes over what this one holds."""
    if isinstance(why, PerdureError):
        return is_last(request, failed_with, why)
    told = activity.cancellation_details()
    called_off = told is not None and (told.cancel_requested or told.not_found)
    # A worker that stops leaves its attempt to another one, if there may be one.
    return called_off or attempts_are_used_up(request)


def introduced(guide: Guide) -> str:
    """The files are only named: a model reads those that it needs."""
    if not guide.files:
        return guide.instructions
    names = "\n".join(f"- {path}" for path in guide.files)
    return f"{guide.instructions}\n\nFiles of this skill, to be read with `skill_file`:\n{names}"


def offers(request: ModelRequest, spec: ToolSpec) -> bool:
    """What the step names, as far as SKILL.md allows it; without a list, what only reads."""
    if not any(fnmatchcase(spec.name, pattern) for pattern in request.tools or ()):
        return False
    if request.allowed_tools is None:
        return spec.effect == "read"
    return any(fnmatchcase(spec.name, pattern) for pattern in request.allowed_tools)


def of_files(spec: ToolSpec, guide: Guide) -> dict[str, Any]:
    """The tool that reads a skill's files, with the files there are to choose from."""
    path = {"type": "string", "enum": list(guide.files)}
    return {**spec.arguments, "properties": {"path": path}}
