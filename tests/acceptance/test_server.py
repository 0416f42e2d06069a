"""The gateway as a process of its own, against whatever the environment names."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from dev import ports
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
ADMIN_KEY = "an-admin-key-for-the-tests"


def environment(**more: str) -> dict[str, str]:
    nowhere = f"127.0.0.1:{ports.free()}"
    return {
        **os.environ,
        "DATABASE_URL": f"postgresql://postgres@{nowhere}/perdure",
        "TEMPORAL_ADDRESS": nowhere,
        "PERDURE_ENCRYPTION_KEYS": f"k1:{base64.b64encode(bytes(32)).decode()}",
        "PERDURE_ADMIN_KEY": ADMIN_KEY,
        "PERDURE_PORT": str(ports.free()),
        **more,
    }


def ended(**more: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "server"]
    return subprocess.run(
        line, cwd=ROOT, env=environment(**more), capture_output=True, text=True, timeout=60
    )


@contextmanager
def serving(**more: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx2.Client]]:
    settings = environment(**more)
    process = subprocess.Popen(
        [sys.executable, "-m", "server"], cwd=ROOT, env=settings, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{settings['PERDURE_PORT']}"
    key = {"X-API-Key": ADMIN_KEY}
    try:
        with httpx2.Client(base_url=url, headers=key, trust_env=False, timeout=20) as http:
            wait_until(lambda: _answers(http), within=60)
            yield process, http
    finally:
        process.kill()
        process.wait()


def _answers(http: httpx2.Client) -> bool:
    try:
        return http.get("/healthz").is_success
    except httpx2.TransportError:
        return False


def test_it_serves_while_temporal_and_postgres_are_away_and_ends_well() -> None:
    with serving() as (process, http):
        ready = http.get("/readyz")
        assert ready.status_code == 503
        assert not any(ready.json()[name]["ok"] for name in ("temporal", "postgres", "worker"))
        refused = http.get("/api/workspaces")
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert http.get("/openapi.json").is_success
        assert http.get("/docs").is_success
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


def test_it_ends_although_somebody_follows_a_log(
    temporal_address: str, temporal_namespace: str, database: str
) -> None:
    places = {
        "DATABASE_URL": database,
        "TEMPORAL_ADDRESS": temporal_address,
        "TEMPORAL_NAMESPACE": temporal_namespace,
    }
    with serving(**places) as (process, http):
        http.post("/api/workspaces", json={"id": "w", "name": "W"}).raise_for_status()
        started = http.post("/api/workspaces/w/skills/hello/run", json={})
        assert started.status_code == 202, started.text
        path = f"/api/runs/{started.json()['run_id']}/log"
        with http.stream("GET", path, params={"stream": "true"}) as answer:
            assert next(answer.iter_lines()).startswith(":")
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0


def test_it_listens_on_this_machine_alone() -> None:
    others = _own_address()
    if others is None:
        pytest.skip("this machine has no other address")
    with serving() as (_, http), socket.socket() as probe:
        assert probe.connect_ex((others, http.base_url.port)) != 0


def test_bad_settings_end_it_with_a_line_each() -> None:
    done = ended(PERDURE_ENCRYPTION_KEYS="hunter2", DATABASE_URL="")
    assert done.returncode == 2
    assert [line.split()[0] for line in done.stderr.splitlines()] == [
        "DATABASE_URL",
        "PERDURE_ENCRYPTION_KEYS",
    ]
    assert "hunter2" not in done.stderr


def test_a_broken_built_in_skill_ends_it_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "SKILL.md").write_text("---\nname: bad\ndescription: Bad.\n---\n")
    (tmp_path / "bad" / "flow.yaml").write_text("steps:\n  - id: a\n    compute: nothing\n")
    done = ended(PERDURE_SKILLS=str(tmp_path))
    assert done.returncode == 2
    assert "bad/flow.yaml:3" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_ends_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = ended(PERDURE_PORT=str(taken.getsockname()[1]))
    assert done.returncode == 3
    assert "address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def _own_address() -> str | None:
    """By which others reach this machine; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return address
