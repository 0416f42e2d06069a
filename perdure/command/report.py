from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from perdure.command.output import Styled
from perdure.command.plain import plain
from perdure.command.reading import show_report
from perdure.command.root import root
from perdure.command.session import Session, command
from perdure.errors import BadUsage
from perdure.report import Report

if TYPE_CHECKING:
    from perdure.client import Client
    from perdure.run import Run

Format = Literal["html", "markdown", "slack", "json"]
OF_SUFFIX: dict[str, Format] = {
    ".html": "html",
    ".htm": "html",
    ".md": "markdown",
    ".markdown": "markdown",
    ".json": "json",
}
FORMATS = ("html", "markdown", "slack", "json")


@command(root, "report")
async def report(
    session: Session,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")],
    *,
    wanted: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="html, markdown, slack or json."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write it, instead of here."),
    ] = None,
    in_browser: Annotated[
        bool, typer.Option("--open", help="Open it in the browser, by a link good for 30 days.")
    ] = False,
) -> None:
    """Show what a run gave, as people read it."""
    chosen = _chosen(session, wanted, file)
    async with session.client() as client:
        if in_browser:
            _open(session, await client.runs.get(run_id))
        elif file is not None or chosen is not None:
            _write(await client.runs.report(run_id, chosen or "markdown"), file)
        else:
            await _show(session, client, run_id)


def _chosen(session: Session, wanted: str | None, file: Path | None) -> Format | None:
    if wanted is not None and wanted not in FORMATS:
        raise BadUsage(f"--format is one of {', '.join(FORMATS)}, not {wanted!r}")
    if wanted is None and session.form == "json":
        return "json"
    if wanted is None and file is not None:
        return OF_SUFFIX.get(file.suffix.lower())
    return wanted


def _open(session: Session, run: Run) -> None:
    link = run.links.get("report", "")
    if not link.startswith(("http://", "https://")):
        raise BadUsage("the gateway names no address of its own: set its PERDURE_PUBLIC_URL")
    if session.form == "json":
        session.output.document({"run_id": run.run_id, "report": link})
    else:
        session.output.say(link)
    webbrowser.open(link)


def _write(text: str, file: Path | None) -> None:
    if file is None:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        return
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise BadUsage(f"cannot write {file}: {error.strerror}") from None


async def _show(session: Session, client: Client, run_id: str) -> None:
    """What is no report is shown as Markdown, which people can read as well."""
    run = await client.runs.get(run_id)
    found = Report.find(run.output) if run.status == "succeeded" else None
    if found is None:
        session.output.say(plain(await client.runs.report(run_id, "markdown")).rstrip("\n"))
        return
    show_report(session.output, found)
    session.output.note()
    session.output.note(Styled("in a browser:  ", "dim"), f"perdure report {run_id} --open")
