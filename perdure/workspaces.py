from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.connection import at
from perdure.model import Page
from perdure.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.wire import Wire


class Workspaces:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list_page(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[Workspace]:
        answer = await self._wire.get(at("workspaces"), {"limit": limit, "cursor": cursor})
        return Page[Workspace].read(answer)

    async def get(self, workspace: str) -> Workspace:
        return Workspace.read(await self._wire.get(at("workspaces", workspace)))

    async def create(
        self,
        name: str,
        *,
        workspace_id: str | None = None,
        timezone: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Workspace:
        body = _given(id=workspace_id, name=name, timezone=timezone, settings=settings)
        answer = await self._wire.send("POST", at("workspaces"), json=body)
        return Workspace.read(answer)

    async def change(
        self,
        workspace: str,
        *,
        name: str | None = None,
        timezone: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Workspace:
        body = _given(name=name, timezone=timezone, settings=settings)
        answer = await self._wire.send("PATCH", at("workspaces", workspace), json=body)
        return Workspace.read(answer)


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
