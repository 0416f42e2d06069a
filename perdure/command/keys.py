from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from perdure.command.output import Styled
from perdure.command.progress import local
from perdure.command.root import root
from perdure.command.session import Cursor, Limit, Session, command, group
from perdure.command.view import more

keys = group("keys", "Keys that programs and people use for a workspace.")
root.add_typer(keys)


class Scope(StrEnum):
    READ = "read"
    RUN = "run"
    APPROVE = "approve"
    MANAGE = "manage"


@command(keys, "list")
async def list_keys(session: Session, *, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List keys, without their secret part."""
    async with session.client() as client:
        page = await client.keys.list_page(limit=limit, cursor=cursor)
    if session.form == "json":
        session.output.document(page.document())
        return
    rows = [[key.id, key.name, " ".join(key.scopes), local(key.created_at)] for key in page.items]
    session.output.table(("KEY", "NAME", "SCOPES", "CREATED"), rows)
    more(session.output, page.next_cursor)


@command(keys, "create")
async def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what will use it.")],
    *,
    scopes: Annotated[
        list[Scope] | None,
        typer.Option(
            "--scope", help="What it may do; repeatable. Without, read and run.", show_default=False
        ),
    ] = None,
) -> None:
    """Make a key; it is shown this once."""
    async with session.client() as client:
        made = await client.keys.create(name, scopes or [Scope.READ, Scope.RUN])
    if session.form == "json":
        session.output.document(made.document())
        return
    session.output.say(made.key)
    said = f"key {made.id} may {', '.join(made.scopes)}; " if made.scopes else ""
    session.output.note(Styled(f"{said}it is not shown again", "dim"))


@command(keys, "revoke")
async def revoke(
    session: Session,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="Its id, from `keys list`.")],
) -> None:
    """End a key's life; whoever uses it is refused from now on."""
    async with session.client() as client:
        await client.keys.revoke(key_id)
    if session.form == "json":
        session.output.document({"id": key_id, "revoked": True})
    else:
        session.output.say(f"key {key_id} was revoked")
