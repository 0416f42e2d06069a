from __future__ import annotations

import re

import pytest

from core.errors import AlreadyExists, Invalid, NotFound
from core.run import Workspace
from store.pool import Pool
from store.workspaces import Workspaces


@pytest.fixture
def workspaces(pool: Pool) -> Workspaces:
    return Workspaces(pool)


async def test_a_workspace_reads_as_it_was_made(workspaces: Workspaces) -> None:
    made = await workspaces.create("acme", "Acme", "Europe/Berlin", {"tone": ["dry", 1]})
    assert await workspaces.get("acme") == made
    assert made.workspace == Workspace(id="acme", name="Acme", timezone="Europe/Berlin")
    assert made.settings == {"tone": ["dry", 1]}


async def test_a_workspace_without_an_id_gets_one(workspaces: Workspaces) -> None:
    first, second = await workspaces.create(None, "A"), await workspaces.create(None, "A")
    assert re.fullmatch("ws-[a-z0-9]+", first.id)
    assert first.id != second.id


async def test_an_id_is_taken_once(workspaces: Workspaces) -> None:
    await workspaces.create("acme", "Acme")
    with pytest.raises(AlreadyExists):
        await workspaces.create("acme", "Other")
    assert (await workspaces.get("acme")).name == "Acme"


@pytest.mark.parametrize("bad", ["", "-a", "A", "a b", "a_b", "é", "a\n", "a" * 64, "a\x00"])
async def test_a_bad_id_is_refused_by_name(workspaces: Workspaces, bad: str) -> None:
    with pytest.raises(Invalid) as caught:
        await workspaces.create(bad, "Acme")
    assert [fault.field for fault in caught.value.errors] == ["id"]


async def test_only_what_is_given_changes(workspaces: Workspaces) -> None:
    await workspaces.create("acme", "Acme", "Europe/Berlin", {"a": 1, "b": 2})
    await workspaces.create("globex", "Globex")
    changed = await workspaces.change("acme", name="Acme Inc")
    assert (changed.name, changed.timezone, changed.settings) == (
        "Acme Inc",
        "Europe/Berlin",
        {"a": 1, "b": 2},
    )
    changed = await workspaces.change("acme", timezone="UTC", settings={})
    assert (changed.timezone, changed.settings) == ("UTC", {})
    assert await workspaces.get("acme") == changed
    assert (await workspaces.get("globex")).name == "Globex"


async def test_an_unknown_workspace_is_named(workspaces: Workspaces) -> None:
    for asked in (workspaces.get("nobody"), workspaces.change("nobody", name="x")):
        with pytest.raises(NotFound, match="nobody"):
            await asked


async def test_pages_are_stable_while_workspaces_come(workspaces: Workspaces) -> None:
    for letter in "ecadb":
        await workspaces.create(letter, letter)
    first = await workspaces.list_page(limit=2)
    await workspaces.create("a2", "came meanwhile, before the cursor")
    await workspaces.create("f", "came meanwhile, after it")
    second = await workspaces.list_page(limit=2, cursor=first.next_cursor)
    third = await workspaces.list_page(limit=2, cursor=second.next_cursor)
    pages = [[row.id for row in page.items] for page in (first, second, third)]
    assert pages == [["a", "b"], ["c", "d"], ["e", "f"]]
    assert third.next_cursor is None


async def test_a_cursor_of_another_list_is_refused(workspaces: Workspaces) -> None:
    with pytest.raises(Invalid):
        await workspaces.list_page(cursor="WzFd")
