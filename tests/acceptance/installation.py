from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx2
import psutil

from dev import ports
from tests.waiting import wait_until

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).parents[2]
SERVES_WITHIN = 60.0  # seconds, on two busy cores


class Installation:
    """A home and its ports, started and stopped as a user does it."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.ports = {
            name: str(ports.free())
            for name in ("PERDURE_PORT", "PERDURE_TEMPORAL_PORT", "PERDURE_TEMPORAL_UI_PORT")
        }
        # The demo company takes a busy machine some seconds, and most tests have no use for it.
        own = {**self.ports, "PERDURE_HOME": str(home), "PERDURE_DEMO_DATA": "0"}
        self.environment = own | environment
        self._screen = home.with_name(f"{home.name}.screen")
        self._up: subprocess.Popen[bytes] | None = None
        self._known: set[psutil.Process] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._up is not None and self._up.poll() is None:
            self._up.kill()
            self._up.wait()
        wait_until(lambda: not self.living())

    def begin(self, *flags: str) -> None:
        with self._screen.open("wb") as screen:
            self._up = subprocess.Popen(
                [sys.executable, "-m", "dev.up", *flags],
                cwd=ROOT,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=screen,
                start_new_session=True,
            )

    def start(self, *flags: str) -> None:
        self.begin(*flags)
        wait_until(lambda: "ready in" in self.screen() or self.ended(), SERVES_WITHIN)
        assert not self.ended(), self.screen()
        self._known |= set(self.processes())

    def refusal(self) -> str:
        """What `up` says when it does not even begin."""
        up = subprocess.run(
            [sys.executable, "-m", "dev.up"],
            cwd=ROOT,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (up.returncode, up.stdout) == (1, "")
        return up.stderr

    def interrupt(self) -> int:
        """Ctrl-C."""
        assert self._up
        os.killpg(self._up.pid, signal.SIGINT)
        return self.exit_code()

    def exit_code(self) -> int:
        assert self._up
        return self._up.wait(SERVES_WITHIN)

    def kill(self) -> None:
        assert self._up
        self._known |= set(self.processes())
        self._up.kill()
        self._up.wait()

    def ended(self) -> bool:
        return self._up is not None and self._up.poll() is not None

    def screen(self) -> str:
        return self._screen.read_text(errors="replace")

    def credentials(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.home / "credentials.json").read_text())
        return found

    def pid(self, name: str) -> int:
        pid: int = json.loads((self.home / "run" / f"{name}.json").read_text())["pid"]
        return pid

    def processes(self) -> list[psutil.Process]:
        assert self._up
        return psutil.Process(self._up.pid).children(recursive=True)

    def living(self) -> list[psutil.Process]:
        """Of all it ever started, those that still run; an orphan nobody reaps has ended."""
        return [process for process in self._known if _runs(process)]

    def get(self, path: str, key: str = "") -> httpx2.Response:
        url = self.credentials()["url"] + path
        return httpx2.get(url, headers={"X-API-Key": key} if key else {}, trust_env=False)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
