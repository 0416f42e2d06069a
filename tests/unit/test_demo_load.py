from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev.demo.load import NotLoaded, load_again, load_at_first
from dev.home import Home
from dev.workspace import client_of

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = "http://127.0.0.1:9"


async def test_what_is_in_the_way_is_one_line_and_nothing_else(tmp_path: Path) -> None:
    said: list[str] = []
    async with client_of(NOBODY) as client:
        await load_at_first(client, "demo", Home(tmp_path), said.append)
    assert len(said) == 1
    assert said[0].startswith("no demo data (")
    assert said[0].endswith("`make demo` tries again")
    assert Home(tmp_path).demo_data() is None


async def test_without_an_installation_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(NotLoaded, match="there is no installation in"):
        await load_again(Home(tmp_path))


async def test_an_installation_that_is_stopped_is_to_be_started(tmp_path: Path) -> None:
    known = {"url": NOBODY, "workspace_id": "demo", "workspace_key": "k"}
    Home(tmp_path).publish(known)
    with pytest.raises(NotLoaded, match="does not answer: start it with `make up`"):
        await load_again(Home(tmp_path))
