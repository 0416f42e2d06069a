from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from perdure.connection import Connection, connect_to
from perdure.errors import NotConfigured

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://127.0.0.1:8000"
CREDENTIALS = {
    "url": URL,
    "temporal_ui": "http://127.0.0.1:8233",
    "admin_key": "admin",
    "workspace_id": "demo",
    "workspace_key": "key",
}


def installed(folder: Path, **changes: Any) -> Path:
    home = folder / ".perdure"
    home.mkdir(parents=True)
    (home / "credentials.json").write_text(json.dumps(CREDENTIALS | changes))
    return home


def test_the_nearest_installation_is_found_from_below(tmp_path: Path) -> None:
    installed(tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    found = connect_to(environment={}, folder=below)
    assert found == Connection(URL, "key", "demo", "http://127.0.0.1:8233")


def test_the_admin_key_is_used_only_when_asked_for(tmp_path: Path) -> None:
    installed(tmp_path)
    assert connect_to(environment={}, folder=tmp_path, access="admin").key == "admin"


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    installed(tmp_path)
    environment = {"PERDURE_API_KEY": "mine", "PERDURE_WORKSPACE": "ops"}
    found = connect_to(environment=environment, folder=tmp_path)
    assert (found.url, found.key, found.workspace) == (URL, "mine", "ops")


def test_what_is_named_comes_before_the_environment(tmp_path: Path) -> None:
    environment = {"PERDURE_URL": URL, "PERDURE_API_KEY": "k", "PERDURE_WORKSPACE": "ops"}
    found = connect_to(
        url="https://p.example.com/", workspace="w", environment=environment, folder=tmp_path
    )
    assert (found.url, found.workspace) == ("https://p.example.com", "w")


@pytest.mark.parametrize("access", ["workspace", "admin"])
def test_a_key_of_the_file_goes_to_no_other_gateway(tmp_path: Path, access: Any) -> None:
    installed(tmp_path)
    environment = {"PERDURE_URL": "http://elsewhere.example.com"}
    with pytest.raises(NotConfigured, match="PERDURE_API_KEY"):
        connect_to(environment=environment, folder=tmp_path, access=access)


def test_localhost_is_the_same_gateway_as_its_address(tmp_path: Path) -> None:
    installed(tmp_path)
    environment = {"PERDURE_URL": "http://localhost:8000"}
    assert connect_to(environment=environment, folder=tmp_path).key == "key"


def test_perdure_home_is_looked_at_alone(tmp_path: Path) -> None:
    installed(tmp_path)
    other = installed(tmp_path / "other", url="http://127.0.0.1:9000")
    environment = {"PERDURE_HOME": str(other)}
    found = connect_to(environment=environment, folder=tmp_path)
    assert found.url == "http://127.0.0.1:9000"
    environment = {"PERDURE_HOME": str(tmp_path / "empty")}
    with pytest.raises(NotConfigured, match="make up"):
        connect_to(environment=environment, folder=tmp_path)


def test_nothing_at_all_says_what_to_start_or_set(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match=r"make up.*PERDURE_URL"):
        connect_to(environment={}, folder=tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"url": 5}', '{"url": "ftp://x"}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (installed(tmp_path) / "credentials.json").write_text(content)
    with pytest.raises(NotConfigured, match=r"credentials\.json|not the URL"):
        connect_to(environment={}, folder=tmp_path)


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://x", "http://", "http://x:port", "http://x:99999", "http://[x"]
)
def test_what_is_no_url_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(NotConfigured, match="not the URL of a gateway"):
        connect_to(url=url, key="k", environment={}, folder=tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_installation_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = installed(tmp_path)
    os.chown(home, 4242, -1)
    monkeypatch.setattr("os.geteuid", lambda: 4343)
    with pytest.raises(NotConfigured, match="another user"):
        connect_to(environment={}, folder=tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 4242)
    assert connect_to(environment={}, folder=tmp_path).key == "key"


def test_a_missing_workspace_is_missed_only_where_it_is_needed(tmp_path: Path) -> None:
    found = connect_to(url=URL, key="k", environment={}, folder=tmp_path)
    with pytest.raises(NotConfigured, match="PERDURE_WORKSPACE"):
        found.below("runs")
