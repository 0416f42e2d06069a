"""A run from its start to its end, as `run` and `runs retry` show it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from perdure.command.exits import OF_STATUS, ExitCode
from perdure.command.output import Piece, Styled, status_piece
from perdure.command.plain import as_json, plain
from perdure.command.progress import in_words, waits_of
from perdure.command.reading import FEW, show_report
from perdure.command.spent import in_all
from perdure.command.watch import watching
from perdure.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from perdure.client import Client
    from perdure.command.output import Output
    from perdure.run import Run, Started

SYNC = "perdure.sync"  # is started again instead: it goes on where the last one was
GOES_ON = "the run goes on without us"


async def follow(
    client: Client,
    output: Output,
    started: Started,
    title: str,
    patience: timedelta | None,
    tell: Callable[[Output, Run], None] | None = None,
) -> ExitCode:
    """Whoever leaves early leaves the run going on; `tell` says how it ended."""
    run_id = started.run_id
    output.note(Styled("run ", "dim"), run_id)
    try:
        async with asyncio.timeout(patience.total_seconds() if patience is not None else None):
            with watching(output, title, run_id) as watcher:
                async with aclosing(client.runs.follow(run_id)) as events:
                    async for event in events:
                        watcher.see(event)
                run = await client.runs.settled(run_id)
    except TimeoutError:
        await _leave(client, output, run_id)
        return ExitCode.TIMED_OUT
    except asyncio.CancelledError:
        _part(output, run_id)
        raise
    (tell or report)(output, run)
    return OF_STATUS.get(run.status, ExitCode.FAILED)


def detached(output: Output, started: Started) -> None:
    if output.form == "json":
        output.document(started.document())
        return
    output.say(started.run_id)
    _tell_how_to_follow(output, started.run_id)


def report(output: Output, run: Run) -> None:
    if output.form == "json":
        output.document(run.document())
        return
    tell_end(output, run)
    if run.status != "succeeded":
        return
    told = Report.find(run.output)
    if told is None:
        sys.stdout.write(in_full(run.output) + "\n")
        return
    show_report(output, told, FEW)
    output.note(Styled("\n  all of it:     ", "dim"), f"perdure report {run.run_id}")
    output.note(Styled("  in a browser:  ", "dim"), f"perdure report {run.run_id} --open")


def tell_end(output: Output, run: Run) -> None:
    sentence: list[Piece] = [Styled(run.skill or "the run", "bold"), " ", status_piece(run.status)]
    if run.duration_ms is not None:
        from datetime import timedelta

        sentence.append(f" after {in_words(timedelta(milliseconds=run.duration_ms))}")
    output.note(*sentence)
    if spent := in_all(run.document()):
        output.note(Styled(f"  {spent}", "dim"))
    if run.error:
        place = f"{run.error.step}: " if run.error.step else ""
        tries = f", {run.error.attempts} attempts" if (run.error.attempts or 1) > 1 else ""
        output.note(f"  {place}{run.error.message} ({run.error.code}{tries})")
    if link := temporal_link(run):
        output.note(Styled("  ", ""), link)
    if run.status in ("failed", "timed_out", "cancelled") and run.skill != SYNC:
        output.note("  go on where it stopped:  ", f"perdure runs retry {run.run_id}")


def temporal_link(run: Run) -> str | None:
    link = run.links.get("temporal_ui", "")
    return link if link.startswith(("http://", "https://")) else None


def in_full(value: Any) -> str:
    """Text as text, the rest as JSON."""
    return plain(value) if isinstance(value, str) else as_json(value, indent=2)


def _part(output: Output, run_id: str) -> None:
    if output.form == "json":
        output.trouble({"code": "interrupted", "detail": GOES_ON, "run_id": run_id})
    output.note(f"\n{GOES_ON}")
    _tell_how_to_follow(output, run_id)


async def _leave(client: Client, output: Output, run_id: str) -> None:
    """Not ended in time: says where it stands."""
    run = await client.runs.get(run_id)
    if output.form == "json":
        output.document(run.document())
        return
    output.note(f"it is still {run.status}: {GOES_ON}")
    for sentence in waits_of(run.document(), run_id):
        output.note(f"  {sentence}")
    _tell_how_to_follow(output, run_id)


def _tell_how_to_follow(output: Output, run_id: str) -> None:
    output.note("  follow it:  ", f"perdure runs logs --follow {run_id}")
    output.note("  cancel it:  ", f"perdure runs cancel {run_id}")
