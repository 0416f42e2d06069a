"""The command as a process of its own: on a terminal, in a pipe, interrupted."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.stand_in import KEY, WORKSPACE, StandIn, event, serving
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

RUN = "POST /api/workspaces/demo/skills/orders/run"
COMMAND = [sys.executable, "-m", "perdure.main"]
PATIENCE = 30  # seconds


@pytest.fixture
def gateway() -> Generator[StandIn]:
    with serving() as stand_in:
        stand_in.run("orders-1")
        stand_in.answer(RUN, 202, {"run_id": "orders-1", "status": "queued"})
        yield stand_in


def environment(gateway: StandIn) -> dict[str, str]:
    named = {"PERDURE_URL": gateway.url, "PERDURE_API_KEY": KEY, "PERDURE_WORKSPACE": WORKSPACE}
    return dict(os.environ) | named | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}


def on_a_terminal(gateway: StandIn, *arguments: str) -> tuple[int, str]:
    """Exit code, and every byte the terminal got."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(gateway),
        start_new_session=True,
    ) as process:
        os.close(theirs)
        said = bytearray()
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            said += part
        os.close(ours)
        return process.wait(PATIENCE), said.decode()


def test_ctrl_c_leaves_the_run_going_on(gateway: StandIn) -> None:
    gateway.logs["orders-1"].pop()
    gateway.holds.add("orders-1")
    with subprocess.Popen(
        [*COMMAND, "run", "orders"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(gateway),
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "✓ fetch" in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out == ""
    assert "perdure runs logs --follow orders-1" in err
    assert "perdure runs cancel orders-1" in err
    assert "Traceback" not in err
    assert not gateway.asked_for("POST /api/runs/orders-1")


def test_a_script_that_is_interrupted_learns_which_run_goes_on(gateway: StandIn) -> None:
    gateway.holds.add("orders-1")
    gateway.logs["orders-1"].pop()
    with subprocess.Popen(
        [*COMMAND, "run", "orders", "--json"],
        stderr=subprocess.PIPE,
        env=environment(gateway),
        text=True,
    ) as process:
        wait_until(lambda: bool(gateway.asked_for("GET /api/runs/orders-1/log")))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert json.loads(err)["run_id"] == "orders-1"


def test_progress_moves_on_a_terminal_and_the_output_stays(gateway: StandIn) -> None:
    gateway.logs["orders-1"][2:2] = [
        event(20, "step.started", "deals[0..199]"),
        event(21, "run.waiting", waiting_for=[{"kind": "timer", "step": "nap"}]),
        event(22, "step.retrying", "fetch", 2, code="http_failed", message="\x1b]0;owned\x07no"),
    ]
    code, said = on_a_terminal(gateway, "run", "orders")
    assert code == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    for part in ("✓ fetch", "200 begun", "orders  succeeded", '"total": 3'):
        assert part in text
    assert "owned" not in said
    assert "\x1b]" not in said


def test_a_table_on_a_terminal_keeps_ids_whole(gateway: StandIn) -> None:
    run = "a-skill-with-a-long-name-" + "0123456789abcdef"
    gateway.run(run, label="[b]x[/b]\x1b[2J")
    page = {"items": [gateway.runs[run]]}
    gateway.answer("GET /api/workspaces/demo/runs", 200, page)
    code, said = on_a_terminal(gateway, "runs", "list")
    assert code == 0
    assert run in said
    assert "[b]x[/b]" in said
    assert "\x1b[2J" not in said


def test_a_reader_that_leaves_early_sees_no_complaint(gateway: StandIn) -> None:
    gateway.logs["orders-1"] = [
        *(event(n, "step.finished", "s" * 2000) for n in range(200)),
        event(200, "run.succeeded"),
    ]
    with subprocess.Popen(
        [*COMMAND, "runs", "logs", "-f", "orders-1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(gateway),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(PATIENCE) == 1
    assert err == b""


def test_the_command_sees_the_run_end_over_a_gateway_that_restarts(gateway: StandIn) -> None:
    gateway.breaks = [1, 0, 1]
    done = subprocess.run(
        [*COMMAND, "run", "orders"],
        capture_output=True,
        env=environment(gateway),
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr.count("✓ fetch") == 1
