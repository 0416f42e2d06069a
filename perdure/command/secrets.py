from __future__ import annotations

from typing import Annotated

import typer

from perdure.command.hidden import read_hidden
from perdure.command.output import Styled
from perdure.command.root import root
from perdure.command.session import Cursor, Limit, Session, command, group
from perdure.command.view import more
from perdure.errors import BadUsage

secrets = group("secrets", "Passwords and tokens that flows may name, and nobody may read.")
root.add_typer(secrets)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As flows name it: ${secret.NAME}.")]


@command(secrets, "list")
async def list_secrets(session: Session, *, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List secrets, without their values."""
    async with session.client() as client:
        page = await client.secrets.list_page(limit=limit, cursor=cursor)
    if session.form == "json":
        session.output.document(page.document())
        return
    rows = [[secret.name, " ".join(secret.allowed_hosts)] for secret in page.items]
    session.output.table(("SECRET", "SENT ONLY TO"), rows)
    more(session.output, page.next_cursor)


@command(secrets, "set")
async def put(
    session: Session,
    name: Name,
    *,
    hosts: Annotated[
        list[str] | None,
        typer.Option("--host", metavar="HOST", help="It is sent to this host; repeatable."),
    ] = None,
) -> None:
    """Set a secret; its value is asked for, or read from stdin.

    It is never an argument, since others see those. One newline at the end of stdin is no part
    of it.
    """
    if not hosts:
        raise BadUsage("name the hosts it may be sent to, such as --host api.example.com")
    value = read_hidden(f"value of {name}")
    async with session.client() as client:
        secret = await client.secrets.put(name, value, hosts)
    if session.form == "json":
        session.output.document(secret.document())
    else:
        sentence = f"secret {name} is set, for {', '.join(hosts)}"
        session.output.say(Styled("✓ ", "green"), sentence)


@command(secrets, "remove")
async def remove(session: Session, name: Name) -> None:
    """Remove a secret; steps that name it fail from now on."""
    async with session.client() as client:
        await client.secrets.remove(name)
    if session.form == "json":
        session.output.document({"name": name, "removed": True})
    else:
        session.output.say(f"secret {name} was removed")
