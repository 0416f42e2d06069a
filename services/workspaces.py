from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from core.errors import FieldFault, Invalid
from core.faults import near
from store.page import Page
from store.workspaces import WorkspaceRow as WorkspaceRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.access import Access
    from store.workspaces import Workspaces

FRESH = 5.0  # seconds that a name or timezone may be old at the start of a run


class WorkspaceService:
    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._seen: dict[str, tuple[float, WorkspaceRow]] = {}

    async def create(
        self, workspace_id: str | None, name: str, timezone: str, settings: dict[str, Any]
    ) -> WorkspaceRow:
        require_timezone(timezone)
        approve_writes(settings)
        return await self._workspaces.create(workspace_id, name, timezone, settings)

    async def get(self, workspace_id: str) -> WorkspaceRow:
        """Every request asks, so an answer is good for a moment."""
        seen = self._seen.get(workspace_id)
        if seen and time.monotonic() - seen[0] < FRESH:
            return seen[1]
        row = await self._workspaces.get(workspace_id)
        self._seen[workspace_id] = (time.monotonic(), row)
        return row

    async def list_page(self, access: Access, limit: int, cursor: str | None) -> Page[WorkspaceRow]:
        if access.workspace_id is not None:
            return Page([await self.get(access.workspace_id)])
        return await self._workspaces.list_page(limit, cursor)

    async def change(
        self,
        workspace_id: str,
        *,
        name: str | None,
        timezone: str | None,
        settings: dict[str, Any] | None,
    ) -> WorkspaceRow:
        if timezone is not None:
            require_timezone(timezone)
        approve_writes(settings or {})
        self._seen.pop(workspace_id, None)
        return await self._workspaces.change(
            workspace_id, name=name, timezone=timezone, settings=settings
        )


def approve_writes(settings: Mapping[str, Any]) -> Literal["never", "always"]:
    """Whether a person is asked before any model of the workspace writes; raises Invalid."""
    match settings.get("approve_writes", "never"):
        case "never":
            return "never"
        case "always":
            return "always"
        case _:
            message = "expected `always` or `never`"
            raise Invalid(message, [FieldFault(field="settings.approve_writes", message=message)])


def require_timezone(name: str) -> None:
    if name == "UTC":
        return
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"expected an IANA timezone{near(name, available_timezones())}"
        raise Invalid(message, [FieldFault(field="timezone", message=message)]) from None
