"""The first `make up` brings the demo company, and no other start does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core.crm import KINDS
from dev.demo.company import company
from dev.demo.load import FRESH, NotLoaded, load_again, load_at_first, today
from dev.home import Home
from dev.workspace import client_of
from tests.acceptance.installation import SERVES_WITHIN, Installation
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCES = "/api/workspaces/demo/sources"
TRY = "perdure run pipeline-hygiene"


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home: Path = tmp_path_factory.mktemp("furnished") / "home"
    with Installation(home, PERDURE_DEMO_DATA="1") as furnished:
        furnished.start()
        wait_until(lambda: TRY in furnished.screen(), SERVES_WITHIN)
        yield furnished


def told(installation: Installation, path: str) -> Any:
    return installation.get(path, installation.credentials()["workspace_key"]).json()


def read(installation: Installation) -> dict[str, int]:
    return {each["kind"]: each["read"] for each in told(installation, f"{SOURCES}/demo")["kinds"]}


def test_the_first_start_brings_all_of_it_and_starts_no_skill(furnished: Installation) -> None:
    assert read(furnished) == {kind: len(company(today()).of(kind)) for kind in KINDS}
    runs = told(furnished, "/api/workspaces/demo/runs")["items"]
    assert {run["skill"] for run in runs} == {"perdure.sync"}


async def test_a_removed_one_stays_away_until_it_is_asked_for(furnished: Installation) -> None:
    everything = read(furnished)
    known, mine = furnished.credentials(), Home(furnished.home)
    said: list[str] = []
    async with client_of(known["url"], known["workspace_key"]) as client:
        gone = await client.delete(f"{SOURCES}/demo", params={"records": "delete"})
        assert gone.json()["rows"] == sum(everything.values())
        await load_at_first(client, "demo", mine, said.append)
    assert said == []
    assert told(furnished, SOURCES)["items"] == []

    assert await load_again(mine) == sum(everything.values())
    assert read(furnished) == everything


async def test_what_is_there_is_left_alone(furnished: Installation, tmp_path: Path) -> None:
    """A source of somebody's own, and data that has grown old."""
    before = read(furnished)
    other = Home(tmp_path)
    known = furnished.credentials()
    other.publish(known)
    said: list[str] = []
    async with client_of(known["url"], known["workspace_key"]) as client:
        await load_at_first(client, "demo", other, said.append)
        assert (said, other.demo_data()) == ([], None)
        with pytest.raises(NotLoaded, match="may be yours"):
            await load_again(other)
        long_ago = today() - 2 * FRESH
        other.note_demo_data(long_ago)
        await load_at_first(client, "demo", other, said.append)
    assert said == [
        f"the data of the demo company ends on {long_ago}: `make demo` brings it up to today"
    ]
    assert read(furnished) == before
