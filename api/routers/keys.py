from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from api.auth import CanManage, Services
from api.bodies import Asked, StrictRoute
from api.errors import REFUSED
from api.pages import Cursor, Limit, Page
from services.access import Scope

router = APIRouter(
    prefix="/api/workspaces/{ws}/keys", tags=["keys"], route_class=StrictRoute, responses=REFUSED
)


class KeyRequest(Asked):
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    scopes: Annotated[
        frozenset[Scope], Field(min_length=1, description="what the key may do", examples=[["run"]])
    ]


class Key(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    scopes: Annotated[list[Scope], BeforeValidator(sorted)]
    created_at: datetime


class NewKey(Key):
    """`key` is shown this once: only its hash is stored."""

    key: str


@router.post("", status_code=201)
async def create_key(body: KeyRequest, visit: CanManage, services: Services) -> NewKey:
    """Make a key for this workspace. It can do no more than the key that makes it."""
    made = await services.keys.create(visit.workspace.id, body.name, body.scopes, visit.access)
    return NewKey.model_validate(made)


@router.get("")
async def list_keys(
    visit: CanManage, services: Services, limit: Limit = 50, cursor: Cursor = None
) -> Page[Key]:
    """The keys of a workspace, by age."""
    page = await services.keys.list_page(visit.workspace.id, limit, cursor)
    return Page(items=[Key.model_validate(key) for key in page.items], next_cursor=page.next_cursor)


@router.delete("/{key_id}", status_code=204)
async def revoke_key(
    key_id: Annotated[str, Path(description="the id of the key, not the key itself")],
    visit: CanManage,
    services: Services,
) -> None:
    """It opens nothing from now on."""
    await services.keys.revoke(visit.workspace.id, key_id)
