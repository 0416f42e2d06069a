from __future__ import annotations

from typing import Annotated

import typer

from perdure.command.output import Styled
from perdure.command.progress import local
from perdure.command.root import root
from perdure.command.session import Session, command, group

webhooks = group("webhooks", "How other systems know that a callback is from here.")
root.add_typer(webhooks)


@command(webhooks, "secret")
async def secret(
    session: Session,
    *,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make a new one; the old one signs along for a day.")
    ] = False,
) -> None:
    """Print the secret that callbacks are signed with."""
    async with session.client() as client:
        found = await (client.webhooks.rotate() if rotate else client.webhooks.secret())
    if session.form == "json":
        session.output.document(found.document())
        return
    session.output.say(found.secret)
    if found.previous_until:
        until = local(found.previous_until)
        session.output.note(Styled(f"the one before it signs along until {until}", "dim"))
