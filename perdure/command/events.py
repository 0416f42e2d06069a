from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from perdure.command.inputs import parse_pairs, parse_value, read_object
from perdure.command.output import Piece, Styled
from perdure.command.progress import local
from perdure.command.root import root
from perdure.command.session import Cursor, Limit, Session, command, group
from perdure.command.view import more

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.events import Event

events = group("events", "Tell what happened, and see what it started.")
root.add_typer(events)


@command(events, "send")
async def send(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as deal_signed.")],
    *,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            "-d",
            metavar="KEY=VALUE",
            help="What to say of it; or one JSON object. May be repeated.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--data-file", metavar="FILE", help="A file with a JSON object; - is stdin."),
    ] = None,
    id: Annotated[
        str | None, typer.Option("--id", help="Sent twice with the same id, it happens once.")
    ] = None,
) -> None:
    """Tell that something happened: skills start, and runs that wait for it go on."""
    whole = (read_object(source) if source else {}) | gathered(data or [])
    async with session.client() as client:
        sent = await client.events.send(name, whole, id=id)
    if session.form == "json":
        session.output.document(sent.document())
        return
    output = session.output
    output.say(Styled("✓ ", "green"), f"{name} is event {sent.event_id}")
    for one in sent.skills_triggered:
        output.say(f"  {one.skill_id} runs: {one.run_id}")
    for one in sent.skipped:
        output.say(Styled(f"  {one.skill_id} was not started ({one.code}): {one.message}", "dim"))
    if not sent.skills_triggered and not sent.skipped:
        output.say(
            Styled("  no skill had a trigger for it; runs that wait for it hear of it", "dim")
        )


@command(events, "list")
async def list_events(
    session: Session,
    *,
    name: Annotated[str | None, typer.Option(help="Only events of this name.")] = None,
    id: Annotated[
        str | None, typer.Option("--id", help="The one that was sent with this id.")
    ] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> None:
    """List what happened, newest first, and what each event started."""
    async with session.client() as client:
        page = await client.events.list_page(name=name, id=id, limit=limit, cursor=cursor)
    if session.form == "json":
        session.output.document(page.document())
        return
    columns = ("EVENT", "NAME", "AT", "STARTED")
    session.output.table(columns, [_row(event) for event in page.items])
    more(session.output, page.next_cursor)


def gathered(data: Sequence[str]) -> dict[str, Any]:
    """Each is `key=value`, or a whole JSON object; later ones win."""
    found: dict[str, Any] = {}
    for text in data:
        value = parse_value(text) if text.lstrip().startswith("{") else None
        found |= value if isinstance(value, dict) else parse_pairs([text])
    return found


def _row(event: Event) -> list[Piece]:
    runs = [one.run_id for one in event.skills_triggered]
    skipped = [f"{one.skill_id}: {one.code}" for one in event.skipped]
    said = ", ".join(runs + [f"not {each}" for each in skipped])
    if event.dispatched_at is None:
        said = f"{said} (under way)".strip()
    return [event.id, event.name, local(event.at), said]
