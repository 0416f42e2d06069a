from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from dev import home
from dev.errors import CannotStart

URL = "http://127.0.0.1:8000"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_home_is_closed_to_others_and_so_are_its_secrets(tmp_path: Path) -> None:
    with home.occupied(tmp_path / "deep" / "home", URL) as mine:
        mine.keys()
        mine.publish({"url": URL})
        mine.publish_settings({"DATABASE_URL": "postgresql://x"})
        assert mode(mine.path) == 0o700
        for name in ("keys.json", "credentials.json", "environment"):
            assert mode(mine.path / name) == 0o600


def test_an_open_home_is_closed_but_the_way_to_the_database_stays(tmp_path: Path) -> None:
    for before, after in ((0o755, 0o700), (0o711, 0o711)):
        tmp_path.chmod(before)
        with home.occupied(tmp_path, URL):
            assert mode(tmp_path) == after


def test_a_home_has_one_owner_who_is_named_to_the_second(tmp_path: Path) -> None:
    with (
        home.occupied(tmp_path, URL),
        pytest.raises(CannotStart, match=f"in use by another.*pid {os.getpid()}, {URL}"),
        home.occupied(tmp_path, "http://127.0.0.1:9000"),
    ):
        raise AssertionError("two owners")
    with home.occupied(tmp_path, URL):
        pass


def test_a_home_that_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(CannotStart, match=r"cannot be used \(Not a directory\).*PERDURE_HOME"),
        home.occupied(tmp_path / "file" / "home", URL),
    ):
        raise AssertionError("a home in a file")


def test_keys_are_made_once(tmp_path: Path) -> None:
    first = home.Home(tmp_path).keys()
    assert home.Home(tmp_path).keys() == first
    assert len({first.encryption, first.admin, first.codec}) == 3


@pytest.mark.parametrize("content", ["", "[]", '{"admin": "x"}'])
def test_damaged_keys_are_never_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    with pytest.raises(CannotStart, match=r"keys\.json is damaged"):
        home.Home(tmp_path).keys()
    assert (tmp_path / "keys.json").read_text() == content


def test_no_new_keys_are_made_for_old_data(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    with pytest.raises(CannotStart, match=r"keys\.json is missing"):
        home.Home(tmp_path).keys()


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    path.with_name("credentials.json.new").write_text("half")
    home.write_private(path, "whole")
    assert path.read_text() == "whole"
    assert [found.name for found in tmp_path.iterdir()] == ["credentials.json"]


def test_a_shell_can_read_the_settings(tmp_path: Path) -> None:
    url = "postgresql://postgres@/perdure?host=/my home&port=5432"
    home.Home(tmp_path).publish_settings({"DATABASE_URL": url})
    script = f'. "{tmp_path}/environment" && printf %s "$DATABASE_URL"'
    read = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert read.stdout == url
