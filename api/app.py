from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from api import errors, openapi
from api.heads import Heads
from api.metrics import Measured, Metrics
from api.routers import (
    codec,
    events,
    health,
    keys,
    llm,
    reports,
    runs,
    secrets,
    skills,
    sources,
    webhooks,
    workspaces,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from services.gateway import Gateway

ROUTERS = (
    workspaces.router,
    keys.router,
    secrets.router,
    sources.router,
    skills.router,
    runs.router,
    reports.router,
    llm.router,
    webhooks.router,
    events.router,
    health.router,
    codec.router,
)


@dataclass(frozen=True)
class Doors:
    """Who else may come in, besides those with a key."""

    codec_token: str | None = None
    temporal_ui: str | None = None


def create_app(
    gateway: Gateway,
    doors: Doors = Doors(),
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    app = FastAPI(
        title=openapi.TITLE,
        version=openapi.VERSION,
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
    )
    app.state.gateway = gateway
    app.state.codec_token = doors.codec_token
    app.state.metrics = Metrics()
    for router in ROUTERS:
        app.include_router(router)
    app.add_api_route("/docs", reference, include_in_schema=False, response_class=HTMLResponse)
    app.add_api_route("/", entrance, include_in_schema=False, response_class=RedirectResponse)
    routes = [*app.routes, *(route for router in ROUTERS for route in router.routes)]
    errors.install(app, [route for route in routes if isinstance(route, Route)])
    app.add_middleware(CodecCors, origins=origins_of(doors.temporal_ui))
    app.add_middleware(Measured, metrics=app.state.metrics)
    app.add_middleware(Heads)
    openapi.install(app, ROUTERS)
    return app


async def reference() -> HTMLResponse:
    """The OpenAPI page, readable, with nothing fetched from elsewhere."""
    return HTMLResponse(files("api").joinpath("reference.html").read_text("utf-8"))


async def entrance() -> RedirectResponse:
    """To the page that a person wants who comes with a browser."""
    return RedirectResponse("/docs")


class CodecCors:
    """From pages of the Temporal Web UI a browser may ask for payloads, and for nothing else."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._open = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["POST"],
            allow_headers=[
                "content-type",
                "x-namespace",
                "authorization",
                "authorization-extras",
                "x-api-key",
            ],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_codec = scope["type"] == "http" and scope["path"].startswith("/codec/")
        await (self._open if is_codec else self._app)(scope, receive, send)


def origins_of(url: str | None) -> tuple[str, ...]:
    """Of this machine both names: the server prints one, a reader types the other."""
    if url is None:
        return ()
    parts = urlsplit(url)
    names = {parts.hostname}
    if names & {"127.0.0.1", "localhost"}:
        names = {"127.0.0.1", "localhost"}
    port = f":{parts.port}" if parts.port else ""
    return tuple(sorted(f"{parts.scheme}://{name}{port}" for name in names))
