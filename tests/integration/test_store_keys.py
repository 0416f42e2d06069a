from __future__ import annotations

import pytest

from core.errors import Invalid, NotFound
from store.keys import Keys, mint_key
from store.pool import Pool
from store.workspaces import Workspaces


@pytest.fixture
async def keys(pool: Pool) -> Keys:
    for workspace in ("acme", "globex"):
        await Workspaces(pool).create(workspace, workspace)
    return Keys(pool)


async def test_a_new_key_opens_its_workspace_with_its_scopes(keys: Keys) -> None:
    new = await keys.create("acme", "sync", ["run", "read", "run"])
    access = await keys.find(new.key)
    assert access is not None
    assert (access.key_id, access.workspace_id, access.name) == (new.id, "acme", "sync")
    assert access.scopes == new.scopes == {"read", "run"}
    assert new.key.startswith(f"pk_{new.id}_")
    assert new.key not in repr(new)


async def test_nothing_but_the_key_itself_opens(keys: Keys) -> None:
    new = await keys.create("acme", "one", ["read"])
    other = await keys.create("acme", "two", ["read"])
    secret = other.key.rpartition("_")[2]
    for wrong in (
        "",
        new.id,
        "pk_",
        new.key[:-1],
        new.key + "0",
        f" {new.key}",
        f"pk_{new.id}_{secret}",
        mint_key(),
        "pk_é_\x00",
    ):
        assert await keys.find(wrong) is None, wrong


async def test_the_key_is_not_in_the_table(keys: Keys, pool: Pool) -> None:
    new = await keys.create("acme", "one", ["read"])
    secret = new.key.rpartition("_")[2]
    [row] = await pool.fetch("SELECT * FROM keys")
    assert secret not in str(dict(row))
    assert bytes.fromhex(secret) not in row["hash"]


async def test_keys_are_listed_for_their_workspace_alone(keys: Keys) -> None:
    made = [await keys.create("acme", name, ["read"]) for name in ("one", "two")]
    await keys.create("globex", "theirs", ["read"])
    await keys.create(None, "an admin's", ["read"])
    listed = await keys.list_keys("acme")
    assert [(key.id, key.name) for key in listed] == [(new.id, new.name) for new in made]


async def test_a_revoked_key_opens_nothing(keys: Keys) -> None:
    new = await keys.create("acme", "one", ["read"])
    await keys.revoke("acme", new.id)
    assert await keys.find(new.key) is None
    with pytest.raises(NotFound):
        await keys.revoke("acme", new.id)


async def test_a_workspace_does_not_revoke_anothers_key(keys: Keys) -> None:
    new = await keys.create("acme", "one", ["read"])
    with pytest.raises(NotFound):
        await keys.revoke("globex", new.id)
    assert await keys.find(new.key) is not None


async def test_a_key_needs_a_workspace_that_exists(keys: Keys) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await keys.create("nobody", "one", ["read"])


@pytest.mark.parametrize("scopes", [[], ["everything"], ["read", "Run"]])
async def test_unknown_scopes_are_refused(keys: Keys, scopes: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        await keys.create("acme", "one", scopes)
    assert [fault.field for fault in caught.value.errors] == ["scopes"]


async def test_an_admins_key_belongs_to_no_workspace(keys: Keys) -> None:
    new = await keys.create(None, "an admin's", ["read"])
    access = await keys.find(new.key)
    assert access is not None
    assert (access.workspace_id, access.scopes) == (None, {"read"})
