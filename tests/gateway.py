"""A gateway over ASGI, on real Temporal and Postgres, with a worker that tests can start."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx2

from api.app import Doors, create_app
from core.run import ENDED
from outbound import Outbound
from services.gateway import Gateway, assemble
from services.library import Library
from tests.kernel import HERE, KEYS, OURS, Kernel, eventually, open_kernel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fastapi import FastAPI

    from store.pool import Pool

ADMIN_KEY = "an-admin-key-for-the-tests"
CODEC_TOKEN = "an-unguessable-token-for-the-tests"
UI = "http://127.0.0.1:8233"
ALL = ["read", "run", "approve", "manage"]

ECHO = """\
inputs:
  word: {type: string, default: hello}
steps:
  - id: say
    compute: echo
    with: {value: "${inputs.word}"}
output: ${steps.say}
"""
HELD = """\
steps:
  - id: first
    compute: watched
    with: {value: 1}
  - id: held
    compute: watched
    with: {value: 2, hold: gate}
  - id: last
    compute: watched
    with: {value: 3}
"""
ASKS = """\
steps:
  - id: sign
    approve: May this go out?
  - id: sent
    compute: echo
    with: {value: "${steps.sign}"}
"""


def bundle(name: str, flow: str, head: str = "") -> dict[str, str]:
    front = f"---\nname: {name}\ndescription: A skill of the tests.\n{head}---\nNothing to read.\n"
    return {"SKILL.md": front, "flow.yaml": flow}


class Caller:
    """Speaks HTTP with one key."""

    def __init__(self, app: FastAPI, key: str | None, workspace: str) -> None:
        self.workspace = workspace
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app, raise_app_exceptions=False),
            base_url="http://gateway",
            headers={"X-API-Key": key} if key else {},
            timeout=60,
        )

    @property
    def home(self) -> str:
        return f"/api/workspaces/{self.workspace}"

    async def upload(self, name: str, flow: str) -> dict[str, Any]:
        body = {"files": bundle(name, flow)}
        answer = await self.http.put(f"{self.home}/skills/{name}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def start(self, skill: str, body: Any = None, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"{self.home}/skills/{skill}/run"
        return await self.http.post(path, json=body or {}, headers=named)

    async def started(self, skill: str, body: Any = None) -> str:
        answer = await self.start(skill, body)
        assert answer.status_code == 202, answer.text
        return answer.json()["run_id"]

    async def run(self, run_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/api/runs/{run_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def act(self, run_id: str, action: str, **more: Any) -> httpx2.Response:
        return await self.http.post(f"/api/runs/{run_id}", json={"action": action, **more})

    async def status(self, run_id: str, *wanted: str) -> dict[str, Any]:
        return await eventually(lambda: self.run(run_id), lambda run: run["status"] in wanted)

    async def ended(self, run_id: str) -> dict[str, Any]:
        return await self.status(run_id, *ENDED)


@dataclass
class Site:
    app: FastAPI
    gateway: Gateway
    kernel: Kernel
    _open: AsyncExitStack

    def caller(self, key: str | None, workspace: str | None = None) -> Caller:
        caller = Caller(self.app, key, workspace or self.kernel.workspace.id)
        self._open.push_async_callback(caller.http.aclose)
        return caller

    @property
    def admin(self) -> Caller:
        return self.caller(ADMIN_KEY)

    async def with_scopes(self, *scopes: str, workspace: str | None = None) -> Caller:
        place = workspace or self.kernel.workspace.id
        body = {"name": "test", "scopes": scopes or ALL}
        made = await self.admin.http.post(f"/api/workspaces/{place}/keys", json=body)
        assert made.status_code == 201, made.text
        return self.caller(made.json()["key"], place)

    async def new_workspace(self) -> str:
        place = f"w-{uuid4().hex[:12]}"
        body = {"id": place, "name": "Another"}
        made = await self.admin.http.post("/api/workspaces", json=body)
        assert made.status_code == 201, made.text
        return place

    async def work(self) -> None:
        """A worker from now on, until the test ends."""
        await self._open.enter_async_context(self.kernel.worker())


@asynccontextmanager
async def open_site(
    address: str, namespace: str, pool: Pool, task_queue: str, library: Path | None = None
) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        kernel = await stack.enter_async_context(open_kernel(address, namespace, pool, task_queue))
        tools = kernel.world.registry().specs()
        gateway = assemble(
            kernel.client,
            pool,
            encryption_keys=KEYS,
            library=Library.load(library, tools) if library else Library({}),
            tools=tools,
            ways=Outbound(HERE, OURS),
            connectors=kernel.connectors,
            admin_key=ADMIN_KEY,
            temporal_ui=UI,
            task_queue=task_queue,
            model_queue="own",
        )
        app = create_app(gateway, Doors(codec_token=CODEC_TOKEN, temporal_ui=UI))
        yield Site(app, gateway, kernel, stack)
