from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from api.auth import Manager, Reader, Services
from api.bodies import StrictRoute
from api.errors import REFUSED
from core.llm import Trial
from services.health import Readiness, Workers

router = APIRouter(tags=["health"], route_class=StrictRoute)

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz")
async def is_alive() -> dict[str, str]:
    """The gateway itself answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Something is away"}})
async def is_ready(services: Services, response: Response) -> Readiness:
    """Temporal, Postgres and a worker are within reach."""
    readiness = await services.health.readiness()
    if not readiness.ready:
        response.status_code = 503
    return readiness


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """Requests by route and status, and what the process uses, for Prometheus."""
    return Response(request.app.state.metrics.page(), media_type=PROMETHEUS)


@router.get("/api/workers", responses=REFUSED)
async def list_workers(_: Reader, services: Services) -> Workers:
    """Who asks for work, how much waits, and whether anybody is there at all."""
    return await services.health.workers()


class ModelHealth(BaseModel):
    """What came of asking the model of each capability for a word."""

    ok: bool
    capabilities: list[Trial]


@router.get("/api/health/llm", responses=REFUSED, tags=["llm"])
async def try_models(access: Manager, services: Services) -> ModelHealth:
    """Asks the model of each capability for one word, with the keys this workspace's runs use.

    An admin key asks with the installation's. The few tokens this takes are not counted.
    """
    trials = await services.llm.health(access.workspace_id or "")
    return ModelHealth(ok=all(trial.ok for trial in trials), capabilities=trials)
