from __future__ import annotations

import pytest

from core.errors import NotFound, SecretMissing
from store.pool import Pool
from store.sealing import CannotOpen, Keyring
from store.secrets import Secrets
from store.workspaces import Workspaces

KEYRING = Keyring({"test": bytes(32)})


@pytest.fixture
async def secrets(pool: Pool) -> Secrets:
    for workspace in ("acme", "globex"):
        await Workspaces(pool).create(workspace, workspace)
    return Secrets(pool, KEYRING)


async def test_a_secret_opens_with_the_hosts_it_is_bound_to(secrets: Secrets) -> None:
    await secrets.put("acme", "token", "marker-é", ["api.example.com", "example.org:8443"])
    opened = await secrets.open("acme", "token")
    assert opened.value == "marker-é"
    assert opened.allowed_hosts == {"api.example.com", "example.org:8443"}
    assert "marker" not in repr(opened)


async def test_a_secret_is_replaced_whole(secrets: Secrets) -> None:
    await secrets.put("acme", "token", "old", ["old.example.com"])
    await secrets.put("acme", "token", "new", [])
    opened = await secrets.open("acme", "token")
    assert (opened.value, opened.allowed_hosts) == ("new", frozenset())


async def test_lists_name_secrets_and_show_no_value(secrets: Secrets) -> None:
    await secrets.put("acme", "b", "marker", ["example.com"])
    await secrets.put("acme", "a", "marker", [])
    await secrets.put("globex", "theirs", "marker", [])
    listed = await secrets.list_names("acme")
    assert [(secret.name, set(secret.allowed_hosts)) for secret in listed] == [
        ("a", set()),
        ("b", {"example.com"}),
    ]
    assert "marker" not in str(listed)


async def test_another_workspace_sees_no_secret(secrets: Secrets) -> None:
    await secrets.put("acme", "token", "value", [])
    with pytest.raises(SecretMissing):
        await secrets.open("globex", "token")
    with pytest.raises(NotFound):
        await secrets.delete("globex", "token")
    assert await secrets.list_names("globex") == []
    assert (await secrets.open("acme", "token")).value == "value"


async def test_a_deleted_secret_is_missing(secrets: Secrets) -> None:
    await secrets.put("acme", "token", "value", [])
    await secrets.delete("acme", "token")
    with pytest.raises(SecretMissing, match="token"):
        await secrets.open("acme", "token")
    with pytest.raises(NotFound):
        await secrets.delete("acme", "token")


async def test_a_secret_needs_a_workspace_that_exists(secrets: Secrets) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await secrets.put("nobody", "token", "value", [])


async def test_the_value_is_not_in_the_table(secrets: Secrets, pool: Pool) -> None:
    await secrets.put("acme", "token", "marker-4711", [])
    assert b"marker" not in await pool.fetchval("SELECT value FROM secrets")


@pytest.mark.parametrize(
    "move",
    ["UPDATE secrets SET workspace_id = 'globex'", "UPDATE secrets SET name = 'other'"],
)
async def test_a_moved_value_does_not_open(secrets: Secrets, pool: Pool, move: str) -> None:
    await secrets.put("acme", "token", "value", [])
    await pool.execute(move)
    row = await pool.fetchrow("SELECT workspace_id, name FROM secrets")
    assert row is not None
    with pytest.raises(CannotOpen):
        await secrets.open(row["workspace_id"], row["name"])
