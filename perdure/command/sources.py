from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from perdure.command.exits import ExitCode
from perdure.command.follow import detached, follow
from perdure.command.output import Styled
from perdure.command.plain import as_json
from perdure.command.progress import local
from perdure.command.root import root
from perdure.command.run import patience_of
from perdure.command.session import Cursor, Limit, Session, command, group
from perdure.command.syncs import tell_sync
from perdure.command.view import more
from perdure.errors import BadUsage

if TYPE_CHECKING:
    from perdure.command.output import Output
    from perdure.source import CheckedKind, Source

sources = group("sources", "Where business data comes from: files, databases, HubSpot.")
root.add_typer(sources)

Id = Annotated[str, typer.Argument(metavar="SOURCE", help="The source's id.")]
ConfigFile = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="A file with a JSON object; - is stdin."),
]
Format = Literal["csv", "jsonl"]
WIDEST = 60


@command(sources, "list")
async def list_sources(session: Session, *, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List sources."""
    async with session.client() as client:
        page = await client.sources.list_page(limit=limit, cursor=cursor)
    if session.form == "json":
        session.output.document(page.document())
        return
    rows = [
        [one.id, one.type, local(one.last_run_at) or "never", one.last_run_status or ""]
        for one in page.items
    ]
    session.output.table(("SOURCE", "TYPE", "LAST SYNC", "STATUS"), rows)
    more(session.output, page.next_cursor)


@command(sources, "add")
async def add(
    session: Session,
    id: Annotated[str, typer.Argument(metavar="SOURCE", help="Its id, such as hubspot.")],
    type: Annotated[str, typer.Argument(metavar="TYPE", help="files, postgres or hubspot.")],
    *,
    config: ConfigFile = None,
) -> None:
    """Add a source; nothing is read before its first sync."""
    async with session.client() as client:
        source = await client.sources.add(id, {**_config(config), "type": type})
    if session.form == "json":
        session.output.document(source.document())
        return
    session.output.say(Styled("✓ ", "green"), f"source {id} was added")
    if type == "files":
        session.output.note("  fill it:   ", f"perdure sources upload {id} deals FILE")
    session.output.note("  look at it: ", f"perdure sources check {id}")


@command(sources, "update")
async def update(session: Session, id: Id, *, config: ConfigFile = None) -> None:
    """Set a source up another way; the next sync reads all there is.

    The file is the whole config: what it leaves out is as if it had never been said.
    """
    if config is None:
        raise BadUsage("say how, with --config FILE")
    changes = _config(config)
    async with session.client() as client:
        known = await client.sources.get(id)
        source = await client.sources.change(id, {"type": known.type, **changes})
    if session.form == "json":
        session.output.document(source.document())
    else:
        session.output.say(Styled("✓ ", "green"), f"source {id} was changed")


@command(sources, "show")
async def show(session: Session, id: Id) -> None:
    """Show a source: how it is set up, its files, and what its last sync did."""
    async with session.client() as client:
        source = await client.sources.get(id)
    if session.form == "json":
        session.output.document(source.document())
    else:
        _show(session.output, source)


@command(sources, "upload")
async def upload(
    session: Session,
    id: Id,
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="What its rows are: deals, accounts, …")
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header, or JSONL.")],
    *,
    format: Annotated[
        Format | None, typer.Option("--format", help="Without it, the file shows it.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="Such as windows-1252; UTF-8 if not said.")
    ] = None,
) -> None:
    """Upload a file; the next sync reads it."""
    async with session.client() as client:
        stored = await client.sources.upload(id, kind, file, format=format, encoding=encoding)
    if session.form == "json":
        session.output.document(stored.document())
        return
    words = f"{stored.lines:,} lines of {stored.format} are there as {kind}"
    session.output.say(Styled("✓ ", "green"), words)
    session.output.note("  look at them: ", f"perdure sources check {id}")


@command(sources, "check")
async def check(session: Session, id: Id) -> ExitCode:
    """Open a source and show its first records as a sync would keep them; keeps nothing."""
    async with session.client() as client:
        checked = await client.sources.check(id)
    if session.form == "json":
        session.output.document(checked.document())
    else:
        if checked.error:
            session.output.say(Styled("✗ ", "red"), f"{checked.error.message}")
        for kind in checked.kinds:
            _show_kind(session.output, kind)
    return ExitCode.OK if checked.ok else ExitCode.FAILED


@command(sources, "sync")
async def sync(
    session: Session,
    id: Id,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Read all there is, not only what has changed.")
    ] = False,
    follows: Annotated[bool, typer.Option("--follow", help="Watch it to its end.")] = False,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait", min=0, max=86400, metavar="SECONDS", help="Leave after so long, with code 5."
        ),
    ] = None,
    silent: Annotated[
        bool, typer.Option("--silent", help="Start no skills that follow syncs.")
    ] = False,
) -> ExitCode:
    """Bring here what has changed; while a sync is under way, that one is meant."""
    async with session.client() as client:
        started = await client.sources.sync(
            id, reading="all" if full else "changes", announce="no" if silent else "yes"
        )
        if not follows and wait is None:
            detached(session.output, started)
            return ExitCode.OK
        return await follow(
            client, session.output, started, f"sync of {id}", patience_of(wait), tell_sync
        )


@command(sources, "remove")
async def remove(
    session: Session,
    id: Id,
    *,
    records: Annotated[
        Literal["keep", "delete"] | None,
        typer.Option("--records", help="What becomes of the records that came from it."),
    ] = None,
) -> None:
    """Remove a source and its files; say whether its records stay."""
    if records is None:
        raise BadUsage("say what becomes of its records: --records keep, or --records delete")
    async with session.client() as client:
        removed = await client.sources.remove(id, records)
    if session.form == "json":
        session.output.document(removed.document())
        return
    rest = f"and {removed.rows:,} records" if removed.records == "deleted" else "its records stay"
    session.output.say(f"source {id} was removed, {rest}")


def _config(place: str | None) -> dict[str, Any]:
    if place is None:
        return {}
    try:
        text = sys.stdin.read() if place == "-" else Path(place).read_text("utf-8")
        read = json.loads(text)
    except OSError as error:
        raise BadUsage(f"{place} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadUsage(f"{place} is no JSON: {error}") from None
    if not isinstance(read, dict):
        raise BadUsage(f"{place}: expected a JSON object")
    return read


def _show(output: Output, source: Source) -> None:
    output.say(Styled(source.id, "bold"), f"  {source.type}")
    last = (local(source.last_run_at), source.last_run_status, source.last_run_id)
    for label, value in (
        ("last sync", "  ".join(filter(None, last))),
        ("under way", source.syncing),
    ):
        if value:
            output.say(Styled(f"  {label}: ", "dim"), value)
    for name, value in source.config.items():
        if name != "type" and value:
            output.say(Styled(f"  {name}: ", "dim"), as_json(value))
    if source.files:
        output.say()
        rows = [
            [file.kind, file.format, f"{file.lines:,}", f"{file.size:,}", local(file.uploaded_at)]
            for file in source.files
        ]
        output.table(("FILE", "FORMAT", "LINES", "BYTES", "UPLOADED"), rows)
    if source.kinds:
        output.say()
        rows = [
            [each.kind, f"{each.read:,}", f"{each.written:,}", f"{each.deleted:,}",
             f"{each.unchanged:,}", f"{each.faults:,}", local(each.known_to)]
            for each in source.kinds
        ]  # fmt: skip
        columns = ("KIND", "READ", "WRITTEN", "DELETED", "UNCHANGED", "FAULTS", "KNOWN UP TO")
        output.table(columns, rows)


def _show_kind(output: Output, kind: CheckedKind) -> None:
    sign = Styled("✗ ", "red") if kind.error or kind.faults else Styled("✓ ", "green")
    rows = "" if kind.rows is None else f"  {kind.rows:,} rows"
    output.say(sign, Styled(kind.kind, "bold"), rows)
    if kind.error:
        output.say(f"  {kind.error.message}")
    if kind.columns:
        words = ", ".join(f"{field} ← {column}" for field, column in kind.columns.items())
        output.say(Styled("  columns: ", "dim"), words)
    if kind.unused:
        output.say(Styled("  not used: ", "dim"), ", ".join(kind.unused))
    for record in kind.sample:
        output.say("  ", _brief(record))
    for fault in kind.faults:
        output.say(Styled("  ✗ ", "red"), fault)


def _brief(record: dict[str, Any]) -> str:
    values = (value if isinstance(value, str) else as_json(value) for value in record.values())
    return "  ".join(value[:WIDEST] for value in values)
