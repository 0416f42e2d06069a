from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dev.tether import tethered, tethered_not_root
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")

PARENT = """
import signal, subprocess, sys
from dev.tether import tethered, tethered_not_root
tie = {tie}
child = subprocess.Popen(tie(["/bin/sh", "-c", {script!r}], signal.SIGTERM))
print(child.pid, flush=True)
child.wait()
"""


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@linux
@pytest.mark.parametrize("tie", ["tethered", "tethered_not_root"])
def test_a_child_gets_its_stop_signal_when_its_parent_is_killed(tmp_path: Path, tie: str) -> None:
    tmp_path.chmod(0o777)
    word = tmp_path / "word"
    script = (
        f"trap 'echo stopped >{word}; exit' TERM; echo ready >{word}; while :; do sleep 1; done"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(tie=tie, script=script)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    with parent.stdout as said:
        child = int(said.readline())
    wait_until(word.exists)
    parent.kill()
    parent.wait()
    wait_until(lambda: gone(child))
    assert word.read_text() == "stopped\n"


@linux
def test_a_parent_that_died_before_is_noticed() -> None:
    line = tethered(["/bin/echo", "started"], signal.SIGTERM)
    dead = subprocess.Popen(["/bin/true"])
    dead.wait()
    line[line.index(str(os.getpid()))] = str(dead.pid)
    late = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (late.returncode, late.stdout) == (128 + signal.SIGTERM, "")


def test_a_server_that_must_not_be_root_is_not() -> None:
    line = tethered_not_root(["/bin/sh", "-c", "id -u"], signal.SIGTERM)
    told = subprocess.run(line, capture_output=True, text=True, check=True)
    expected = "65534" if os.geteuid() == 0 else str(os.geteuid())
    assert told.stdout.strip() == expected
