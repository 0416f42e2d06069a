from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from dev import supervisor
from dev.home import Home
from dev.supervisor import Child, DiedWhileStarting, Service, stop_orphans
from dev.tether import tethered
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dev.supervisor import Ready

FOR_EVER = "echo serving; exec sleep 1000"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def said() -> list[str]:
    return []


async def at_once(_pid: int) -> None:
    return


async def never(_pid: int) -> None:
    await asyncio.Event().wait()


def service(script: str, ready: Ready = at_once) -> Service:
    line = tethered(["/bin/sh", "-c", script], signal.SIGKILL)
    return Service("child", line, dict(os.environ), ready)


@asynccontextmanager
async def kept_alive(child: Child) -> AsyncIterator[asyncio.Task[None]]:
    await child.start()
    watching = asyncio.create_task(child.keep_alive())
    try:
        yield watching
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        await child.stop()


def pid_of(child: Child, home: Home) -> int:
    pid: int = json.loads(home.note(child.name).read_text())["pid"]
    return pid


async def test_a_child_comes_back_however_often_it_is_killed(home: Home, said: list[str]) -> None:
    child = Child(service(FOR_EVER), home, said.append)
    async with kept_alive(child) as watching:
        for time in range(1, supervisor.FAILURES + 3):
            killed = pid_of(child, home)
            os.kill(killed, signal.SIGKILL)
            await until(lambda time=time: sum("is back" in line for line in said) == time)
            assert pid_of(child, home) != killed
        assert not watching.done()
    assert said[0] == "child was ended by SIGKILL; starting it again"
    assert not psutil.pid_exists(killed)
    assert home.notes() == []


async def test_a_child_that_cannot_start_ends_the_watch_with_its_last_words(
    home: Home, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE", 0.01)
    flag = home.path / "broken"
    script = f"test -e {flag} && echo 'no luck' >&2 && exit 3; {FOR_EVER}"
    states = iter([at_once])

    async def ready(pid: int) -> None:
        await next(states, never)(pid)

    child = Child(service(script, ready), home, said.append)
    async with kept_alive(child) as watching:
        flag.touch()
        os.kill(pid_of(child, home), signal.SIGKILL)
        await asyncio.wait({watching}, timeout=20)
        with pytest.raises(DiedWhileStarting, match=r"(?s)code 3 while starting.*no luck"):
            watching.result()
    assert said.count("child ended with code 3; starting it again") == supervisor.FAILURES - 1


async def test_a_first_start_that_fails_is_not_repeated(home: Home, said: list[str]) -> None:
    child = Child(service("echo 'bad settings'; exit 1", never), home, said.append)
    with pytest.raises(DiedWhileStarting, match=r"(?s)code 1 while starting.*bad settings"):
        await child.start()


async def test_a_child_that_never_gets_ready_says_so(
    home: Home, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "READY_WITHIN", supervisor.timedelta(seconds=0.3))
    child = Child(service(FOR_EVER, never), home, said.append)
    with pytest.raises(DiedWhileStarting, match="does not get ready"):
        await child.start()
    await child.stop()


async def test_what_died_is_settled_before_the_next_start(home: Home, said: list[str]) -> None:
    settled: list[str] = []
    dirty = Service(
        "child",
        tethered(["/bin/sh", "-c", FOR_EVER], signal.SIGKILL),
        dict(os.environ),
        at_once,
        settle=lambda: settled.append(said[-1]),
    )
    child = Child(dirty, home, said.append)
    async with kept_alive(child):
        os.kill(pid_of(child, home), signal.SIGKILL)
        await until(lambda: any("is back" in line for line in said))
    assert settled == ["child was ended by SIGKILL; starting it again"]


async def test_a_child_that_does_not_listen_is_killed_with_its_own_children(
    home: Home, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOPPED_WITHIN", supervisor.timedelta(seconds=0.3))
    deaf = "trap '' TERM; sleep 1000 & echo $!; while :; do wait; done"
    child = Child(service(deaf), home, said.append)
    await child.start()
    await until(lambda: child.log.read_text().endswith("\n"))
    grandchild = psutil.Process(int(child.log.read_text()))
    await child.stop()
    await until(lambda: not grandchild.is_running() or grandchild.status() == "zombie")


async def test_the_log_of_the_last_run_is_gone_but_not_that_of_the_last_death(
    home: Home, said: list[str]
) -> None:
    home.log("child").write_text("of the last run\n")
    child = Child(service(FOR_EVER), home, said.append)
    async with kept_alive(child):
        await until(lambda: child.log.read_text() == "serving\n")
        os.kill(pid_of(child, home), signal.SIGKILL)
        await until(lambda: child.log.read_text() == "serving\nserving\n")


def test_orphans_of_a_killed_supervisor_are_stopped(home: Home) -> None:
    orphan = psutil.Popen(["/bin/sleep", "1000"])
    note = {"pid": orphan.pid, "created": orphan.create_time(), "stop_signal": 15}
    home.note("child").write_text(json.dumps(note))
    stop_orphans(home)
    assert orphan.wait(1) == -15
    assert home.notes() == []


def test_somebody_elses_process_with_an_old_pid_is_left_alone(home: Home) -> None:
    with subprocess.Popen(["/bin/sleep", "1000"]) as bystander:
        note = {"pid": bystander.pid, "created": 1000.0, "stop_signal": 9}
        home.note("child").write_text(json.dumps(note))
        home.note("worker").write_text('{"pid": ')
        stop_orphans(home)
        assert bystander.poll() is None
        bystander.kill()
    assert home.notes() == []
