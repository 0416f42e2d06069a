from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from api.auth import CanManage, Services
from api.bodies import Asked, StrictRoute
from api.errors import REFUSED
from api.pages import Cursor, Limit, Page
from api.words import Form

router = APIRouter(
    prefix="/api/workspaces/{ws}/secrets",
    tags=["secrets"],
    route_class=StrictRoute,
    responses=REFUSED,
)

Name = Annotated[
    str,
    Path(description="as in `${secret.name}`", examples=["crm"]),
    Form(
        r"^[a-z_][a-z0-9_]{0,63}$",
        "up to 64 small letters, digits and underscores that begin with no digit, "
        "such as `crm_key`",
    ),
]
LABEL = r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
Host = Annotated[
    str,
    Field(
        max_length=260,
        description="`host`, `host:port` or `*.example.com`, in small letters",
        examples=["api.example.com"],
    ),
    # After a star two labels at least: nobody owns all of `com`.
    Form(
        rf"^((\*\.{LABEL}\.)?{LABEL}(\.{LABEL})*|\[[0-9a-f:.]+\])(:[0-9]{{1,5}})?$",
        "a host in small letters without `https://`, such as `api.example.com`, "
        "`api.example.com:8443` or `*.example.com` (not `*.com`, which is everybody's)",
    ),
]


class SecretValue(Asked):
    """The value is only ever sent to these hosts, and never comes back."""

    value: Annotated[str, Field(min_length=1, max_length=65536)]
    allowed_hosts: Annotated[list[Host], Field(min_length=1, max_length=50)]


class Secret(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str
    allowed_hosts: Annotated[list[str], BeforeValidator(sorted)]
    updated_at: datetime


@router.get("")
async def list_secrets(
    visit: CanManage, services: Services, limit: Limit = 50, cursor: Cursor = None
) -> Page[Secret]:
    """The names of a workspace's secrets and where they may go."""
    page = await services.secrets.list_page(visit.workspace.id, limit, cursor)
    return Page(
        items=[Secret.model_validate(one) for one in page.items], next_cursor=page.next_cursor
    )


@router.put("/{name}")
async def put_secret(name: Name, body: SecretValue, visit: CanManage, services: Services) -> Secret:
    """Store a secret, or another value for it."""
    put = await services.secrets.put(visit.workspace.id, name, body.value, body.allowed_hosts)
    return Secret.model_validate(put)


@router.get("/{name}")
async def get_secret(name: Name, visit: CanManage, services: Services) -> Secret:
    """Where it may go; its value is write-only."""
    return Secret.model_validate(await services.secrets.get(visit.workspace.id, name))


@router.delete("/{name}", status_code=204)
async def delete_secret(name: Name, visit: CanManage, services: Services) -> None:
    """Steps that name it fail from now on."""
    await services.secrets.delete(visit.workspace.id, name)
