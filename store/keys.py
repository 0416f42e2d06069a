from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, get_args

from core.errors import FieldFault, Invalid, NotFound
from core.model import Frozen
from store.workspaces import owned_by

if TYPE_CHECKING:
    from collections.abc import Iterable

    from store.pool import Pool

Scope = Literal["read", "run", "approve", "manage"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
KEY = re.compile(r"pk_([a-z0-9]{8,32})_([A-Za-z0-9]{32,128})")

CREATE = """
    INSERT INTO keys (id, workspace_id, name, scopes, hash) VALUES ($1, $2, $3, $4, $5)
    RETURNING id, name, scopes, created_at
"""
FIND = "SELECT id, workspace_id, name, scopes, hash FROM keys WHERE id = $1"
LIST = """
    SELECT id, name, scopes, created_at FROM keys WHERE workspace_id = $1 ORDER BY created_at, id
"""
REVOKE = "DELETE FROM keys WHERE id = $1 AND workspace_id = $2 RETURNING id"


class Key(Frozen):
    id: str
    name: str
    scopes: frozenset[str]
    created_at: datetime


@dataclass(frozen=True)
class NewKey:
    """`key` is shown this once: only its hash is stored."""

    id: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    key: str = field(repr=False)


class Access(Frozen):
    """What a presented key opens; without a workspace it is an admin's."""

    key_id: str
    workspace_id: str | None
    scopes: frozenset[str]
    name: str


def mint_key() -> str:
    return f"pk_{secrets.token_hex(6)}_{secrets.token_hex(24)}"


class Keys:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(self, workspace: str | None, name: str, scopes: Iterable[str]) -> NewKey:
        """`workspace` None makes another key for an admin."""
        wanted = sorted(set(scopes))
        if not wanted or not set(wanted) <= set(SCOPES):
            message = f"expected some of {', '.join(SCOPES)}"
            raise Invalid(f"bad scopes: {message}", [FieldFault(field="scopes", message=message)])
        key = mint_key()
        with owned_by(workspace or ""):
            row = await self._pool.fetchrow(
                CREATE, _id_of(key), workspace, name, wanted, _hash(key)
            )
        if row is None:
            raise NotFound("the key was not written")
        return NewKey(
            id=row["id"],
            name=row["name"],
            scopes=frozenset(row["scopes"]),
            created_at=row["created_at"],
            key=key,
        )

    async def find(self, presented: str) -> Access | None:
        identity = _id_of(presented)
        row = await self._pool.fetchrow(FIND, identity) if identity else None
        if row is None or not hmac.compare_digest(row["hash"], _hash(presented)):
            return None
        return Access(
            key_id=row["id"],
            workspace_id=row["workspace_id"],
            scopes=frozenset(row["scopes"]),
            name=row["name"],
        )

    async def list_keys(self, workspace: str) -> list[Key]:
        return [Key(**row) for row in await self._pool.fetch(LIST, workspace)]

    async def revoke(self, workspace: str, key_id: str) -> None:
        if await self._pool.fetchval(REVOKE, key_id, workspace) is None:
            raise NotFound(f"there is no key {key_id!r}")


def _id_of(key: str) -> str | None:
    parts = KEY.fullmatch(key)
    return parts[1] if parts else None


def _hash(key: str) -> bytes:
    # Keys are 192 random bits: a slow hash would protect nothing, and cost every request.
    return hashlib.sha256(key.encode()).digest()
