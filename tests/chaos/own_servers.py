"""Parts that the test itself starts and stops: a PostgreSQL, and a worker by its command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dev import postgres
from dev.tether import tethered

if TYPE_CHECKING:
    from types import TracebackType

    from tests.acceptance.installation import Installation

STOPPED_WITHIN = 20.0  # seconds


class OwnPostgres:
    """Stays away for as long as it is not started again."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._process: subprocess.Popen[bytes] | None = None
        postgres.prepare(data)

    @property
    def dsn(self) -> str:
        return postgres.dsn(self._data, "perdure")

    async def start(self) -> None:
        line = postgres.command(self._data, postgres.SETTINGS)
        with self._data.with_suffix(".log").open("ab") as log:
            self._process = _spawn(line, postgres.environment(), log.fileno())
        await postgres.ensure_database(self._data, "perdure")

    def kill(self) -> None:
        """It and all its backends, so that not one connection survives."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(STOPPED_WITHIN)
            self._process = None
            postgres.settle(self._data)


class OwnWorker:
    """`perdure worker`, as somebody starts it in a shell of an installation."""

    def __init__(self, installation: Installation) -> None:
        self._environment = os.environ | installation.environment
        self._log = installation.home / "own-worker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = Path(sys.executable).with_name("perdure")
        environment = {
            name: value for name, value in self._environment.items() if name != "DATABASE_URL"
        }
        with self._log.open("ab") as log:
            line = tethered([str(command), "worker"], signal.SIGKILL)
            self._process = _spawn(line, environment, log.fileno())
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _spawn(line: list[str], environment: dict[str, str], log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        start_new_session=True,
    )
