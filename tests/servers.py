from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import asyncpg

from dev import ports, postgres, temporal
from services.namespace import ensure_namespace
from store.schema import migrate

PREFIX = "perdure-test-"
ROOM = 2 << 30  # bytes that a run may fill
READY_WITHIN = timedelta(seconds=60)
STOPPED_WITHIN = timedelta(seconds=20)
TEMPLATE = "template_perdure"


class Servers:
    """PostgreSQL and Temporal in memory; they die with this process, however it ends."""

    def __init__(self) -> None:
        base = _base()
        _sweep(base)
        self._home = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base)).resolve()
        self._lock = (self._home / "lock").open("a")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._data = self._home / "postgres"
        self._processes: list[tuple[subprocess.Popen[bytes], signal.Signals]] = []
        self.temporal = f"127.0.0.1:{ports.free()}"

    def postgres(self, database: str) -> str:
        return postgres.dsn(self._data, database)

    async def start(self, namespace: str) -> None:
        try:
            async with asyncio.timeout(READY_WITHIN.total_seconds()):
                self._start_temporal()
                postgres.prepare(self._data)
                settings = postgres.SETTINGS | postgres.FORGETFUL
                line = postgres.command(self._data, settings)
                self._spawn("postgres", line, postgres.STOP_SIGNAL, postgres.environment())
                await asyncio.gather(self._make_template(), self._make_namespace(namespace))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        for process, stop_signal in self._processes:
            process.send_signal(stop_signal)
        for process, _ in self._processes:
            try:
                process.wait(STOPPED_WITHIN.total_seconds())
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._lock.close()
        shutil.rmtree(self._home)

    def _start_temporal(self) -> None:
        line = temporal.passing_command(int(self.temporal.rpartition(":")[2]))
        self._spawn("temporal", line, temporal.STOP_SIGNAL, temporal.environment())

    def _spawn(
        self, name: str, line: list[str], stop_signal: signal.Signals, environment: dict[str, str]
    ) -> None:
        with (self._home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self._processes.append((process, stop_signal))

    async def _make_template(self) -> None:
        await postgres.ensure_database(self._data, TEMPLATE)
        await migrate(self.postgres(TEMPLATE))
        server = await asyncpg.connect(self.postgres("postgres"))
        await server.execute(
            f"ALTER DATABASE {TEMPLATE} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false"
        )
        await server.close()

    async def _make_namespace(self, namespace: str) -> None:
        await ensure_namespace(await temporal.connect(self.temporal, namespace))


def _base() -> Path:
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM:
        return memory
    return Path(tempfile.gettempdir())


def _sweep(base: Path) -> None:
    """A killed run leaves 60 MB, and a lock that nobody holds any more."""
    for old in base.glob(f"{PREFIX}*"):
        with suppress(OSError), (old / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(old)
