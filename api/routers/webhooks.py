from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.auth import CanManage, CanReadRun, InWorkspace, Runner, Services
from api.bodies import Asked, StrictRoute
from api.callbacks import CallbackUrl
from api.errors import REFUSED
from api.headers import IdempotencyKey
from api.routers.skills import Skill
from api.runs import RunState
from core.callback import secret_as_text
from core.errors import FieldFault, InvalidInputs, NotFound
from core.run import Run
from services.runs import StartRequest
from services.webhooks import WebhookSecret

router = APIRouter(tags=["webhooks"], route_class=StrictRoute, responses=REFUSED)


class TriggerRequest(Asked):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "workspace_id": "demo",
                    "params": {"stale_days": 14},
                    "callback_url": "https://hooks.example.com/perdure",
                }
            ]
        }
    )

    workspace_id: Annotated[str, Field(max_length=80)]
    params: dict[str, Any] = Field(default_factory=dict)
    callback_url: CallbackUrl | None = None


class SigningSecret(BaseModel):
    """What callbacks of this workspace are signed with, as Standard Webhooks writes it."""

    secret: str
    created_at: datetime
    previous_until: datetime | None

    @classmethod
    def of(cls, secret: WebhookSecret) -> "SigningSecret":
        return cls(
            secret=secret_as_text(secret.value),
            created_at=secret.created_at,
            previous_until=secret.previous_until,
        )


@router.post("/api/webhooks/skills/{skill}/trigger", status_code=202)
async def trigger_skill(
    skill: Skill,
    body: TriggerRequest,
    access: Runner,
    services: Services,
    idempotency_key: IdempotencyKey = None,
) -> RunState:
    """Start a skill from another system; `params` are the skill's inputs.

    With a `callback_url`, the end of the run, whatever it is, is POSTed there in the format of
    Standard Webhooks, signed with the workspace's secret, and tried for three days.
    """
    visit = await InWorkspace("run")(body.workspace_id, access, services)
    request = StartRequest(inputs=body.params, trigger="webhook", callback_url=body.callback_url)
    with naming_params():
        run = await services.runs.start(visit.workspace, skill, request, access, idempotency_key)
    return RunState.of(run)


@router.get("/api/webhooks/skills/{skill}/runs/{run_id}")
async def get_triggered_run(skill: Skill, visit: CanReadRun, services: Services) -> Run:
    """The whole run, as `GET /api/runs/{run_id}` shows it."""
    if visit.run.skill != skill:
        raise NotFound(f"there is no run {visit.run.run_id!r}")
    return await services.runs.whole(visit.run)


@router.get("/api/workspaces/{ws}/webhooks/secret")
async def get_webhook_secret(visit: CanManage, services: Services) -> SigningSecret:
    """What callbacks are signed with; made when it is first asked for."""
    return SigningSecret.of(await services.webhooks.secret(visit.workspace.id))


@router.post("/api/workspaces/{ws}/webhooks/secret")
async def rotate_webhook_secret(visit: CanManage, services: Services) -> SigningSecret:
    """Make a new one. For 24 hours callbacks carry a signature of the old one too."""
    return SigningSecret.of(await services.webhooks.rotate(visit.workspace.id))


@contextmanager
def naming_params() -> Generator[None]:
    """What a skill calls an input is called a parameter here."""
    try:
        yield
    except InvalidInputs as error:
        raise InvalidInputs(
            _renamed(error.message),
            [FieldFault(field=_renamed(each.field), message=each.message) for each in error.errors],
        ) from error


def _renamed(text: str) -> str:
    return f"params{text.removeprefix('inputs')}" if text.startswith("inputs") else text
