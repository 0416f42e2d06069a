"""`make up` as a user meets it: started, killed, started twice, and in somebody's way."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.acceptance.installation import SERVES_WITHIN, Installation
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

CHILDREN = ("postgres", "temporal", "gateway", "worker")


def test_it_serves_and_says_how_to_reach_it(installation: Installation) -> None:
    assert installation.get("/readyz").status_code == 200
    credentials = installation.credentials()
    assert set(credentials) == {
        "url",
        "temporal_ui",
        "admin_key",
        "workspace_id",
        "workspace_key",
    }
    for shown in ("url", "temporal_ui", "workspace_id", "workspace_key"):
        assert credentials[shown] in installation.screen()
    assert credentials["admin_key"] not in installation.screen()
    assert httpx2.get(credentials["temporal_ui"], trust_env=False).status_code == 200


def test_its_key_opens_its_workspace_and_no_other_key_does(installation: Installation) -> None:
    credentials = installation.credentials()
    path = f"/api/workspaces/{credentials['workspace_id']}"
    assert installation.get(path, credentials["workspace_key"]).json()["id"] == "demo"
    assert installation.get(path, credentials["admin_key"]).status_code == 200
    assert installation.get(path, "not-a-key").status_code == 401


def test_the_web_ui_is_told_where_payloads_are_decoded(installation: Installation) -> None:
    credentials = installation.credentials()
    settings = httpx2.get(f"{credentials['temporal_ui']}/api/v1/settings", trust_env=False).json()
    endpoint: str = settings["Codec"]["Endpoint"]
    assert endpoint.startswith(f"{credentials['url']}/codec/")
    decoded = httpx2.post(f"{endpoint}/decode", json={"payloads": []}, trust_env=False)
    assert decoded.status_code == 200


def test_what_it_keeps_is_closed_to_other_users(installation: Installation) -> None:
    assert installation.home.stat().st_mode & 0o066 == 0
    for secret in ("credentials.json", "keys.json", "environment", "temporal.db"):
        assert (installation.home / secret).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", CHILDREN)
def test_a_killed_child_comes_back(installation: Installation, name: str) -> None:
    killed = installation.pid(name)
    told = installation.screen().count(f"{name} is back")
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: installation.screen().count(f"{name} is back") > told)
    assert installation.pid(name) != killed
    wait_until(lambda: installation.get("/readyz").status_code == 200)


def test_a_second_start_in_the_same_home_says_who_has_it(installation: Installation) -> None:
    told = installation.refusal()
    assert "is in use by another `make up`" in told
    assert installation.credentials()["url"] in told
    assert told.count("\n") == 1
    assert installation.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "variable", ["PERDURE_PORT", "PERDURE_TEMPORAL_PORT", "PERDURE_TEMPORAL_UI_PORT"]
)
def test_a_taken_port_is_named_with_the_way_out(another: Installation, variable: str) -> None:
    with socket.create_server(("127.0.0.1", int(another.ports[variable]))):
        told = another.refusal()
    assert f"port {another.ports[variable]} is taken by" in told
    assert f"(pid {os.getpid()})" in told
    assert f"{variable}=" in told
    assert told.count("\n") == 1


def test_what_is_no_port_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    home = tmp_path / "home"
    told = Installation(home, PERDURE_PORT="http").refusal()
    assert told == "perdure: PERDURE_PORT=http is not a port: it must be a number from 1 to 65535\n"
    assert not home.exists()


def test_ctrl_c_ends_everything_and_the_next_start_finds_it_as_it_was(
    installation: Installation, another: Installation
) -> None:
    another.start()
    before = another.credentials()
    assert before["workspace_key"] != installation.credentials()["workspace_key"]
    assert another.interrupt() == 0
    assert another.living() == []
    assert installation.get("/readyz").status_code == 200

    another.start("--no-worker")
    assert another.credentials() == before
    path = f"/api/workspaces/{before['workspace_id']}"
    assert another.get(path, before["workspace_key"]).status_code == 200
    assert "No worker runs here" in another.screen()
    assert not (another.home / "run" / "worker.json").exists()
    assert another.interrupt() == 0
    assert another.living() == []


def test_kill_9_leaves_nothing_behind_at_any_moment(another: Installation) -> None:
    another.begin()
    wait_until(lambda: (another.home / "postgres.new").exists() or another.ended())
    another.kill()
    wait_until(lambda: not another.living())

    another.begin()
    wait_until(lambda: (another.home / "run" / "gateway.json").exists(), SERVES_WITHIN)
    another.kill()
    # At once: what is still ending is waited for.
    another.start()
    assert another.get("/readyz").status_code == 200
    another.kill()
    wait_until(lambda: not another.living())
    assert another.living() == []


async def test_a_gateway_that_cannot_start_ends_it_with_the_reason(
    another: Installation, database: str, temporal_address: str
) -> None:
    another.environment |= {"DATABASE_URL": database, "TEMPORAL_ADDRESS": temporal_address}
    another.environment["PERDURE_ENCRYPTION_KEYS"] = "not:keys"
    another.begin()
    assert another.exit_code() == 1
    assert "PERDURE_ENCRYPTION_KEYS is wrong" in another.screen()


async def test_servers_of_the_users_own_are_used(
    another: Installation, database: str, temporal_address: str
) -> None:
    another.environment |= {
        "DATABASE_URL": database,
        "TEMPORAL_ADDRESS": temporal_address,
        "TEMPORAL_NAMESPACE": f"up-{os.getpid()}",
    }
    another.start()
    assert another.get("/readyz").status_code == 200
    own = [process.name() for process in another.processes()]
    assert len(own) == 3, own  # the demo model, the gateway, a worker
    assert not (another.home / "postgres").exists()
    assert another.interrupt() == 0
    assert another.living() == []
