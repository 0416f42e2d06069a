from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perdure.command.exits import OF_STATUS, ExitCode
from perdure.command.follow import detached, follow
from perdure.command.inputs import gather, parse_time
from perdure.command.output import Styled, status_piece
from perdure.command.root import root
from perdure.command.run import Detach, InputPairs, InputsSource, Wait, patience_of
from perdure.command.session import Cursor, Limit, Session, command, group
from perdure.command.spent import Spent
from perdure.command.view import event_line, more, run_rows, show_run

if TYPE_CHECKING:
    from perdure.client import Client
    from perdure.run import LogEvent, Started

runs = group("runs", "Look at runs, and act on them.")
root.add_typer(runs)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
Approval = Annotated[
    str | None,
    typer.Option("--step", metavar="STEP", help="Which approval, where several wait."),
]
Comment = Annotated[str | None, typer.Option(metavar="TEXT", help="Kept in the run's log.")]
Time = "a time such as 2026-11-20T08:00:00Z, or how long ago: 30m, 2h, 7d"


@command(runs, "list")
async def list_runs(
    session: Session,
    *,
    skill: Annotated[str | None, typer.Option(help="Only this skill's.")] = None,
    status: Annotated[
        str | None,
        typer.Option(help="queued, running, paused, waiting, succeeded, failed, …"),
    ] = None,
    trigger: Annotated[
        str | None, typer.Option(help="manual, schedule, event, webhook, skill or retry.")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option("--search", "-q", metavar="TEXT", help="In skill, id, label, error code."),
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help=f"Not before {Time}.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before then.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> None:
    """List runs, newest first."""
    async with session.client() as client:
        page = await client.runs.list_page(
            skill=skill,
            status=status,
            trigger=trigger,
            q=search,
            since=parse_time(since),
            until=parse_time(until),
            limit=limit,
            cursor=cursor,
        )
    if session.form == "json":
        session.output.document(page.document())
        return
    columns = ("RUN", "SKILL", "STATUS", "STARTED", "TOOK", "ABOUT")
    session.output.table(columns, run_rows(page.items))
    more(session.output, page.next_cursor)


@command(runs, "show")
async def show(session: Session, run_id: RunId) -> None:
    """Show one run: its steps, inputs, output, and what it waits for."""
    async with session.client() as client:
        run = await client.runs.get(run_id)
    if session.form == "json":
        session.output.document(run.document())
    else:
        show_run(session.output, run)


@command(runs, "logs")
async def logs(
    session: Session,
    run_id: RunId,
    *,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Until the run ends; the exit code is the run's."),
    ] = False,
    step: Annotated[
        str | None, typer.Option(metavar="BATCH", help="The log of a batch: 'deals[0..199]'.")
    ] = None,
) -> ExitCode:
    """Print a run's log. With --json, one event a line."""
    async with session.client() as client:
        if follow:
            return await _follow_log(session, client, run_id, step)
        async with aclosing(client.runs.log(run_id, step)) as events:
            spent = Spent()
            async for event in events:
                _print_event(session, event, spent)
    _print_spent(session, spent)
    return ExitCode.OK


@command(runs, "pause")
async def pause(session: Session, run_id: RunId) -> None:
    """Start no further step until resumed."""
    async with session.client() as client:
        _print_action(session, "is told to pause", await client.runs.pause(run_id))


@command(runs, "resume")
async def resume(session: Session, run_id: RunId) -> None:
    """Go on with a paused run."""
    async with session.client() as client:
        _print_action(session, "is told to go on", await client.runs.resume(run_id))


@command(runs, "cancel")
async def cancel(session: Session, run_id: RunId) -> None:
    """End a run now; what it did is kept, and a retry goes on from there."""
    async with session.client() as client:
        _print_action(session, "is told to stop", await client.runs.cancel(run_id))


@command(runs, "approve")
async def approve(
    session: Session, run_id: RunId, *, step: Approval = None, comment: Comment = None
) -> None:
    """Say yes to what a run asks."""
    async with session.client() as client:
        answer = await client.runs.approve(run_id, step=step, comment=comment)
    _print_action(session, "is approved", answer)


@command(runs, "reject")
async def reject(
    session: Session, run_id: RunId, *, step: Approval = None, comment: Comment = None
) -> None:
    """Say no to what a run asks."""
    async with session.client() as client:
        answer = await client.runs.reject(run_id, step=step, comment=comment)
    _print_action(session, "is rejected", answer)


@command(runs, "retry")
async def retry(
    session: Session,
    run_id: RunId,
    *,
    latest: Annotated[
        bool, typer.Option("--latest", help="The skill as it is now, not as it was then.")
    ] = False,
    pairs: InputPairs = None,
    source: InputsSource = None,
    detach: Detach = False,
    wait: Wait = None,
) -> ExitCode:
    """Run an ended run again, and watch it; what had finished is not done again.

    -i changes single inputs; --inputs replaces them all.
    """
    async with session.client() as client:
        inputs = await _changed_inputs(client, run_id, pairs or [], source)
        started = await client.runs.retry(
            run_id, version="latest" if latest else "same", inputs=inputs
        )
        if detach:
            detached(session.output, started)
            return ExitCode.OK
        title = f"retry of {run_id}"
        return await follow(client, session.output, started, title, patience_of(wait))


async def _changed_inputs(
    client: Client, run_id: str, pairs: list[str], source: str | None
) -> dict[str, Any] | None:
    if not pairs and not source:
        return None
    given = gather(pairs, source)
    return given if source else (await client.runs.get(run_id)).inputs | given


async def _follow_log(session: Session, client: Client, run_id: str, step: str | None) -> ExitCode:
    spent = Spent()
    async with aclosing(client.runs.follow(run_id, step)) as events:
        async for event in events:
            _print_event(session, event, spent)
            if event.is_ending:
                _print_spent(session, spent)
                return OF_STATUS[event.kind.removeprefix("run.")]
    _print_spent(session, spent)
    if step is not None:
        return ExitCode.OK
    run = await client.runs.settled(run_id)
    return OF_STATUS.get(run.status, ExitCode.FAILED)


def _print_event(session: Session, event: LogEvent, spent: Spent) -> None:
    if event.kind == "model.called":
        spent.add(event)
    if session.form == "json":
        session.output.record(event.document())
    else:
        session.output.say(*event_line(event))
        session.output.flush()


def _print_spent(session: Session, spent: Spent) -> None:
    if session.form == "text" and spent.words:
        session.output.say(Styled(f"models took {spent.words}", "dim"))


def _print_action(session: Session, sentence: str, answer: Started) -> None:
    if session.form == "json":
        session.output.document(answer.document())
    else:
        session.output.say(answer.run_id, f" {sentence}: it is ", status_piece(answer.status))
