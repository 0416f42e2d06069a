from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from core.errors import Forbidden
from services.paging import page_of
from store.keys import SCOPES, Access
from store.keys import Key as Key
from store.keys import NewKey as NewKey

if TYPE_CHECKING:
    from services.access import Scope
    from store.keys import Keys
    from store.page import Page

ADMIN = Access(key_id="admin", workspace_id=None, scopes=frozenset(SCOPES), name="admin")


class KeyService:
    """The admin key is the installation's setting and stands in no table."""

    def __init__(self, keys: Keys, admin_key: str | None) -> None:
        self._keys = keys
        self._admin_key = admin_key.encode() if admin_key else None

    async def find(self, presented: str) -> Access | None:
        if self._admin_key and hmac.compare_digest(presented.encode(), self._admin_key):
            return ADMIN
        return await self._keys.find(presented)

    async def create(
        self, workspace: str, name: str, scopes: frozenset[Scope], access: Access
    ) -> NewKey:
        if access.workspace_id is not None and not scopes <= access.scopes:
            lacking = ", ".join(sorted(scopes - access.scopes))
            raise Forbidden(f"a key cannot give what it does not have: {lacking}")
        return await self._keys.create(workspace, name, scopes)

    async def list_page(self, workspace: str, limit: int, cursor: str | None) -> Page[Key]:
        keys = await self._keys.list_keys(workspace)
        return page_of(keys, lambda key: f"{key.created_at.isoformat()} {key.id}", limit, cursor)

    async def revoke(self, workspace: str, key_id: str) -> None:
        await self._keys.revoke(workspace, key_id)
