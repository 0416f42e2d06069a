from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.auth import CanManage, CanRead, CanReadRun, CanRun, Services
from api.bodies import Asked, StrictRoute
from api.callbacks import CallbackUrl
from api.errors import REFUSED
from api.headers import IdempotencyKey, Wait
from api.pages import Cursor, Limit, Page
from api.runs import RunLine, RunResult, RunState, has_ended
from api.uploads import BUNDLE, NAMED_BUNDLE, read_bundle, read_named_bundle
from core.errors import NotFound
from core.flow import Flow
from core.run import Run
from core.skill import Fault, SkillSummary
from core.tool import Mode
from services.runs import RunFilter, StartRequest

router = APIRouter(
    prefix="/api/workspaces/{ws}/skills",
    tags=["skills"],
    route_class=StrictRoute,
    responses=REFUSED,
)

Skill = Annotated[str, Path(description="the skill's name", examples=["pipeline-hygiene"])]


class SkillPage(SkillSummary):
    """A skill and all that is in it. Files that are not text are left out of `files`."""

    inputs: dict[str, Any]
    allowed_tools: tuple[str, ...] | None
    instructions: str
    flow: Flow
    files: dict[str, str]
    warnings: list[Fault]


class CheckResult(BaseModel):
    """`ok` says that no fault is an error."""

    ok: bool
    faults: list[Fault]


class Uploaded(BaseModel):
    name: str
    version: str
    warnings: list[Fault]


class RunRequest(Asked):
    """In `dry` mode, tools that would change something are recorded and not called."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"inputs": {"names": ["Ada"]}, "label": "a first try"}]}
    )

    inputs: dict[str, Any] = Field(default_factory=dict)
    label: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] | None = None
    mode: Mode = "live"
    callback_url: CallbackUrl | None = None


@router.get("")
async def list_skills(
    visit: CanRead, services: Services, limit: Limit = 50, cursor: Cursor = None
) -> Page[SkillSummary]:
    """The skills of a workspace: its own, and those that come with the installation."""
    page = await services.skills.list_page(visit.workspace.id, limit, cursor)
    return Page(items=page.items, next_cursor=page.next_cursor)


@router.post("/check", openapi_extra={"requestBody": NAMED_BUNDLE})
async def check_skill(visit: CanRead, services: Services, request: Request) -> CheckResult:
    """Find the faults of a bundle, with file and line, and store nothing."""
    name, files = await read_named_bundle(request, services.skills)
    checked = await services.skills.check(visit.workspace.id, name, files)
    return CheckResult(ok=checked.skill is not None, faults=list(checked.faults))


@router.get("/{skill}")
async def get_skill(skill: Skill, visit: CanRead, services: Services) -> SkillPage:
    """One skill: its inputs, its steps and its files."""
    workspace = visit.workspace.id
    version = await services.skills.get(workspace, skill)
    summary = await services.skills.summary(workspace, version)
    files, warnings = await services.skills.contents(workspace, version)
    return SkillPage(
        **summary.model_dump(),
        inputs=version.skill.flow.inputs,
        allowed_tools=version.skill.allowed_tools,
        instructions=version.skill.instructions,
        flow=version.skill.flow,
        files={path: text for path, data in files.items() if (text := _text(data)) is not None},
        warnings=list(warnings),
    )


@router.put("/{skill}", openapi_extra={"requestBody": BUNDLE})
async def upload_skill(
    skill: Skill, visit: CanManage, services: Services, request: Request
) -> Uploaded:
    """Upload a bundle, as JSON or as a zip. It runs at once; runs in flight keep what they have.

    A bundle with faults is 422 `invalid_skill`, whose `faults` name file and line.
    """
    files = await read_bundle(request, services.skills)
    done = await services.skills.upload(visit.workspace.id, skill, files)
    return Uploaded(name=skill, version=done.version.hash, warnings=list(done.warnings))


@router.delete("/{skill}", status_code=204)
async def remove_skill(skill: Skill, visit: CanManage, services: Services) -> None:
    """Remove it from the list. Runs in flight and retries keep their version."""
    await services.skills.remove(visit.workspace.id, skill)


@router.post(
    "/{skill}/run",
    tags=["runs"],
    status_code=202,
    response_model=RunState,
    responses={
        200: {"model": RunResult, "description": "Waited for, and ended in time"},
        202: {"description": "Accepted; ask for the run, or follow its log"},
    },
)
async def run_skill(
    skill: Skill,
    visit: CanRun,
    services: Services,
    wait: Wait,
    body: RunRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Start a run. With `Prefer: wait=SECONDS` or `?wait=` the answer waits for its end."""
    body = body or RunRequest()
    request = StartRequest(
        inputs=body.inputs,
        label=body.label or None,
        mode=body.mode,
        callback_url=body.callback_url,
    )
    run = await services.runs.start(visit.workspace, skill, request, visit.access, idempotency_key)
    if wait.length and not has_ended(run):
        run = await services.runs.ended_within(run, wait.length)
    if wait.length and has_ended(run):
        return _answer(RunResult.of(run), 200, wait.headers)
    return _answer(RunState.of(run), 202, wait.headers)


@router.get("/{skill}/runs", tags=["runs"])
async def list_runs_of_skill(
    skill: Skill, visit: CanRead, services: Services, limit: Limit = 50, cursor: Cursor = None
) -> Page[RunLine]:
    """The runs of one skill, newest first; also of one that was removed."""
    page = await services.runs.list_page(visit.workspace.id, RunFilter(skill=skill), limit, cursor)
    return Page(
        items=[RunLine.model_validate(run) for run in page.items], next_cursor=page.next_cursor
    )


@router.get("/{skill}/runs/{run_id}", tags=["runs"])
async def get_run_of_skill(
    skill: Skill, visit: CanRead, run_visit: CanReadRun, services: Services
) -> Run:
    """The whole run."""
    run = run_visit.run
    if run.skill != skill or run.workspace_id != visit.workspace.id:
        raise NotFound(f"there is no run {run.run_id!r}")
    return await services.runs.whole(run)


def _answer(content: BaseModel, status: int, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse(content.model_dump(mode="json"), status, headers)


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
