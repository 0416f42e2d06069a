from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import psutil

from dev.errors import CannotStart

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dev.home import Home

READY_WITHIN = timedelta(seconds=60)
STOPPED_WITHIN = timedelta(seconds=15)  # the worker gives what it has in hand ten
FAILURES = 5  # in a row, each before it was ready: then it cannot work
LONGEST_PAUSE = 5.0  # seconds before a child that failed is tried again
LAST_LINES = 12
LONGEST_LINE = 300
CLOCK_CORRECTIONS = 2.0  # seconds, between two looks at when a process began


Ready = Callable[[int], Awaitable[object]]
"""Returns once the process with this pid serves."""


@dataclass(frozen=True)
class Service:
    name: str
    line: list[str]
    """Tethered, so that it dies with us."""
    environment: Mapping[str, str]
    ready: Ready
    stop_signal: signal.Signals = signal.SIGTERM
    settle: Callable[[], None] = field(default=lambda: None)
    """What to clear away after a death, before the next start."""


class DiedWhileStarting(Exception):
    pass


class Child:
    def __init__(self, service: Service, home: Home, say: Callable[[str], None]) -> None:
        self.name = service.name
        self._service = service
        self._say = say
        self.log = home.log(service.name)
        self._note = home.note(service.name)
        self._process: asyncio.subprocess.Process | None = None
        # The log of the run before is of no use beside this one's.
        self.log.write_bytes(b"")

    async def start(self) -> None:
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C is for us, who stop the children in order.
            process = self._process = await asyncio.create_subprocess_exec(
                *self._service.line,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._service.environment,
                start_new_session=True,
            )
        self._write_note(process.pid)
        ready = asyncio.ensure_future(self._service.ready(process.pid))
        ended = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait(
                {ready, ended},
                timeout=READY_WITHIN.total_seconds(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if ready.done():
                await ready
                return
        finally:
            ready.cancel()
            ended.cancel()
        how = f"{self._how_it_ended()} while starting" if ended.done() else "does not get ready"
        raise DiedWhileStarting(f"{self.name} {how}; the end of {self.log}:\n{self._last_lines()}")

    async def keep_alive(self) -> None:
        """Back after any death; one that dies five times in a row before it was ready ends this."""
        failures = 0
        while True:
            await self._ended()
            self._say(f"{self.name} {self._how_it_ended()}; starting it again")
            await asyncio.sleep(min(0.1 * 2**failures, LONGEST_PAUSE))
            await asyncio.to_thread(self._service.settle)
            try:
                await self.start()
            except DiedWhileStarting:
                failures += 1
                if failures == FAILURES:
                    raise
                await self.stop()
            else:
                failures = 0
                self._say(f"{self.name} is back (pid {self._pid})")

    async def stop(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(self._service.stop_signal)
        try:
            async with asyncio.timeout(STOPPED_WITHIN.total_seconds()):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        self._note.unlink(missing_ok=True)

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    @property
    def _pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def _ended(self) -> None:
        if self._process is not None:
            await self._process.wait()

    def _how_it_ended(self) -> str:
        code = self._process.returncode if self._process else None
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with code {code}"

    def _last_lines(self) -> str:
        lines = self.log.read_text(errors="replace").rstrip().split("\n")
        return "\n".join(_abridged(line) for line in lines[-LAST_LINES:])

    def _write_note(self, pid: int) -> None:
        with contextlib.suppress(psutil.Error):
            note = {
                "pid": pid,
                "created": psutil.Process(pid).create_time(),
                "stop_signal": int(self._service.stop_signal),
            }
            self._note.write_text(json.dumps(note))


def _abridged(line: str) -> str:
    """Go says first what it was about and last what went wrong, with ten lines between."""
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE // 3]} … {line[-LONGEST_LINE // 3 * 2 :]}"


def stop_orphans(home: Home) -> None:
    """Of a supervisor that was killed: where the system cannot tie children to it, they live on."""
    orphans = [found for note in home.notes() if (found := _orphan(note))]
    for process, stop_signal in orphans:
        with contextlib.suppress(psutil.Error):
            process.send_signal(stop_signal)
    end = time.monotonic() + STOPPED_WITHIN.total_seconds()
    for process, _ in orphans:
        while _lives(process):
            if time.monotonic() > end:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            if time.monotonic() > end + 2:
                raise CannotStart(f"an earlier {process.name()} (pid {process.pid}) does not end")
            time.sleep(0.02)
    for note in home.notes():
        note.unlink()


def _orphan(note: Path) -> tuple[psutil.Process, int] | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
        told = json.loads(note.read_text())
        process = psutil.Process(told["pid"])
        # The pid may be somebody else's by now.
        if abs(process.create_time() - told["created"]) < CLOCK_CORRECTIONS and _lives(process):
            return process, told["stop_signal"]
    return None


def _lives(process: psutil.Process) -> bool:
    """A zombie that nobody reaps is dead; psutil's own wait would wait for ever."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
