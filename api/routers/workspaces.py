from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.auth import Admin, CanManage, CanRead, Reader, Services
from api.bodies import Asked, StrictRoute
from api.errors import REFUSED
from api.pages import Cursor, Limit, Page
from api.words import Form

router = APIRouter(
    prefix="/api/workspaces", tags=["workspaces"], route_class=StrictRoute, responses=REFUSED
)

Id = Annotated[
    str,
    Field(examples=["revenue-ops"]),
    Form(
        r"^[a-z0-9][a-z0-9-]{0,62}$",
        "up to 63 small letters, digits and hyphens that begin with no hyphen, "
        "such as `revenue-ops`",
    ),
]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Timezone = Annotated[
    str, Field(max_length=64, description="an IANA name", examples=["Europe/Berlin"])
]


class NewWorkspace(Asked):
    """Without an `id`, one is made from the name."""

    id: Id | None = None
    name: Name
    timezone: Timezone = "UTC"
    settings: dict[str, Any] = Field(default_factory=dict)


class WorkspaceChange(Asked):
    """What is left out stays as it is; `settings` are replaced as a whole."""

    name: Name | None = None
    timezone: Timezone | None = None
    settings: dict[str, Any] | None = None


class Workspace(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    timezone: str
    settings: dict[str, Any]


@router.post("", status_code=201)
async def create_workspace(body: NewWorkspace, _: Admin, services: Services) -> Workspace:
    """Make a workspace. Everything else, from keys to runs, lives in one."""
    made = await services.workspaces.create(body.id, body.name, body.timezone, body.settings)
    return Workspace.model_validate(made)


@router.get("")
async def list_workspaces(
    access: Reader, services: Services, limit: Limit = 50, cursor: Cursor = None
) -> Page[Workspace]:
    """The workspaces that the key reaches: all for an admin key, otherwise its own."""
    page = await services.workspaces.list_page(access, limit, cursor)
    return Page(
        items=[Workspace.model_validate(one) for one in page.items], next_cursor=page.next_cursor
    )


@router.get("/{ws}")
async def get_workspace(visit: CanRead) -> Workspace:
    """One workspace."""
    return Workspace.model_validate(visit.workspace)


@router.patch("/{ws}")
async def change_workspace(
    body: WorkspaceChange, visit: CanManage, services: Services
) -> Workspace:
    """Change its name, timezone or settings. Runs in flight keep what they began with."""
    changed = await services.workspaces.change(
        visit.workspace.id, name=body.name, timezone=body.timezone, settings=body.settings
    )
    return Workspace.model_validate(changed)
