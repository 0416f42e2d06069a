from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from temporalio.service import RPCError

from core.effects import TASK_QUEUE
from core.errors import Unavailable
from dev import ports, postgres, temporal
from dev.demo.load import load_at_first
from dev.errors import CannotStart
from dev.plan import DATABASE, TEMPORAL_PORT, UI_PORT
from dev.supervisor import Child, Ready, Service
from dev.tether import tethered
from dev.workspace import ID, Gateway, client_of
from services.namespace import ensure_namespace
from store.schema import MigrationChanged, migrate

if TYPE_CHECKING:
    from dev.home import Home
    from dev.plan import Plan
    from dev.terminal import Terminal

ANSWERS_WITHIN = timedelta(seconds=15)
FIRST_REPORT = "pipeline-hygiene"
# What the demo model says to built-in skills, computed from what it is sent.
DEMO_HANDLERS = (
    "dev.demo.meeting_notes:answer",
    "dev.demo.pipeline_hygiene:answer",
    "dev.demo.deal_risk_review:answer",
    "dev.demo.weekly_recap:answer",
)


class Stack:
    """The servers and our two processes, in the order they need each other."""

    def __init__(self, plan: Plan, home: Home, terminal: Terminal) -> None:
        self._plan = plan
        self._home = home
        self._terminal = terminal
        self._settings = plan.settings(home, home.keys())
        self._gateway = Gateway(plan.url)
        self._servers: list[Child] = []
        self._parts: list[Child] = []

    async def serve(self) -> None:
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            self._servers = [self._child(service) for service in self._needed_servers()]
            await asyncio.gather(*(self._start(child, group) for child in self._servers))
            await asyncio.gather(self._furnish_database(), self._furnish_namespace())
            self._home.publish_settings(self._settings)
            self._parts = [self._child(service) for service in self._needed_parts()]
            for child in self._parts:
                self._terminal.follow(child.name, child.log)
            await asyncio.gather(*(self._start(child, group) for child in self._parts))
            key = await self._welcome(started)
            await self._furnish_workspace(key)

    async def stop(self) -> None:
        for children in (self._parts, self._servers):
            await asyncio.gather(*(child.stop() for child in children))
        postgres.leave(self._home.postgres)

    def kill(self) -> None:
        for child in (*self._parts, *self._servers):
            child.kill()

    def _child(self, service: Service) -> Child:
        return Child(service, self._home, self._terminal.say)

    async def _start(self, child: Child, group: asyncio.TaskGroup) -> None:
        await child.start()
        group.create_task(child.keep_alive())

    def _needed_servers(self) -> list[Service]:
        services: list[Service] = []
        if self._plan.database_url is None:
            postgres.prepare(self._home.postgres)
            services.append(self._postgres())
        if self._plan.temporal_address is None:
            temporal.compact(self._home.temporal)
            services.append(self._temporal())
        return services

    def _needed_parts(self) -> list[Service]:
        services: list[Service] = []
        if self._plan.demo_port is not None:
            services.append(self._demo(self._plan.demo_port))
        services.append(self._part("gateway", "server", lambda _: self._gateway.alive()))
        if self._plan.worker == "here":
            services.append(self._part("worker", "worker", self._polled_by))
        return services

    def _postgres(self) -> Service:
        data = self._home.postgres
        return Service(
            name="postgres",
            line=postgres.command(data, postgres.SETTINGS),
            environment=postgres.environment(),
            ready=lambda _: postgres.ensure_database(data, DATABASE),
            stop_signal=postgres.STOP_SIGNAL,
            settle=lambda: postgres.settle(data),
        )

    def _temporal(self) -> Service:
        opened = self._plan.ports
        codec = f"{self._plan.url}/codec/{self._settings['PERDURE_CODEC_TOKEN']}"
        return Service(
            name="temporal",
            line=temporal.persistent_command(
                self._home.temporal, opened[TEMPORAL_PORT], opened[UI_PORT], codec
            ),
            environment=temporal.environment(),
            ready=lambda _: temporal.connect(
                self._settings["TEMPORAL_ADDRESS"], self._plan.namespace
            ),
            stop_signal=temporal.STOP_SIGNAL,
        )

    def _demo(self, port: int) -> Service:
        line = [sys.executable, "-P", "-m", "llm.demo", "--port", str(port)]
        for handler in DEMO_HANDLERS:
            line += ["--handler", handler]
        return Service(
            name="demo",
            line=tethered(line, signal.SIGKILL),
            environment=self._plan.environment(self._settings),
            ready=lambda _: ports.answers(port),
        )

    def _part(self, name: str, module: str, ready: Ready) -> Service:
        # Stateless, so the hardest signal will do when we are gone; -P since a server.py in the
        # user's directory is not ours.
        line = tethered([sys.executable, "-P", "-m", module], signal.SIGKILL)
        return Service(name, line, self._plan.environment(self._settings), ready)

    async def _polled_by(self, pid: int) -> None:
        client = await temporal.connect(self._settings["TEMPORAL_ADDRESS"], self._plan.namespace)
        await temporal.polled(client, TASK_QUEUE, f"{pid}@")

    async def _furnish_database(self) -> None:
        try:
            await migrate(self._settings["DATABASE_URL"])
        except (Unavailable, MigrationChanged) as reason:
            given = (
                "look at DATABASE_URL" if self._plan.database_url else "set PERDURE_HOME to another"
            )
            raise CannotStart(f"{reason}: {given}") from reason

    async def _furnish_namespace(self) -> None:
        """A cluster of the user's own may not let us; the worker then says what is missing."""
        address = self._settings["TEMPORAL_ADDRESS"]
        try:
            async with asyncio.timeout(ANSWERS_WITHIN.total_seconds()):
                client = await temporal.connect(address, self._plan.namespace)
                await ensure_namespace(client)
        except TimeoutError as error:
            raise CannotStart(f"Temporal at {address} does not answer") from error
        except RPCError as error:
            if self._plan.temporal_address is None:
                raise
            self._terminal.say(f"could not prepare the namespace {self._plan.namespace}: {error}")

    async def _welcome(self, started: float) -> str:
        """The workspace's key."""
        known = self._home.credentials().get("workspace_key")
        admin = self._settings["PERDURE_ADMIN_KEY"]
        try:
            key = await self._gateway.workspace_key(admin, known)
        except httpx2.HTTPError as error:
            log = self._home.log("gateway")
            raise CannotStart(f"no workspace could be made ({error}): see {log}") from error
        credentials = {
            "url": self._plan.url,
            "temporal_ui": self._plan.ui_url,
            "admin_key": admin,
            "workspace_id": ID,
            "workspace_key": key,
        }
        self._home.publish(credentials)
        self._terminal.say(f"ready in {time.monotonic() - started:.1f} s")
        self._terminal.say(_summary(credentials, self._home.path, self._plan))
        return key

    async def _furnish_workspace(self, key: str) -> None:
        if self._plan.demo_data == "never" or self._plan.worker == "elsewhere":
            return
        async with client_of(self._plan.url, key) as client:
            await load_at_first(client, ID, self._home, self._terminal.say)
        if self._home.demo_data():
            self._terminal.say(f"try: {_command()} run {FIRST_REPORT}")


def _summary(credentials: dict[str, str], home: Path, plan: Plan) -> str:
    command = _command()
    lines = [
        "",
        f"  API           {credentials['url']}  (its pages: {credentials['url']}/docs)",
        f"  Temporal UI   {credentials['temporal_ui'] or 'yours'}",
        f"  workspace     {credentials['workspace_id']}",
        f"  key           {credentials['workspace_key']}",
        f"  kept in       {_near(home)}",
        "",
        f"  Try: {command} run hello",
        "  Ctrl-C stops everything and keeps the data.",
        "",
    ]
    if plan.worker == "elsewhere":
        lines.insert(-2, f"  No worker runs here: start one with {command} worker")
    return "\n".join(lines)


def _command() -> str:
    if shutil.which("perdure"):
        return "perdure"
    return _near(Path(sys.executable).with_name("perdure"))


def _near(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
