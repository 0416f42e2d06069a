from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated

import typer

from perdure.command.exits import ExitCode
from perdure.command.follow import detached, follow
from perdure.command.inputs import gather
from perdure.command.root import root
from perdure.command.session import Session, command

InputPairs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="KEY=VALUE",
        help="An input; the value is JSON where it is valid JSON, else text. May be repeated.",
    ),
]
InputsSource = Annotated[
    str | None,
    typer.Option("--inputs", metavar="FILE", help="A file with a JSON object; - is stdin."),
]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Print the run's id and leave.")]
Wait = Annotated[
    float | None,
    typer.Option(
        "--wait", min=0, max=86400, metavar="SECONDS", help="Leave after so long, with code 5."
    ),
]


@command(root, "run")
async def run(
    session: Session,
    skill: Annotated[str, typer.Argument(metavar="SKILL", help="The skill's name.")],
    *,
    pairs: InputPairs = None,
    source: InputsSource = None,
    detach: Detach = False,
    wait: Wait = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="The same key and inputs give the same run, for ever."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What lists call this run.")
    ] = None,
    dry: Annotated[
        bool, typer.Option("--dry", help="Record what would change something, and do not do it.")
    ] = False,
    callback: Annotated[
        str | None, typer.Option(metavar="URL", help="The end is told there, signed.")
    ] = None,
) -> ExitCode:
    """Run a skill and watch it to its end.

    The output goes to stdout, progress to stderr. Ctrl-C leaves the run going on.
    """
    inputs = gather(pairs or [], source)
    async with session.client() as client:
        try:
            started = await client.skills.run(
                skill,
                inputs,
                label=label,
                mode="dry" if dry else "live",
                callback_url=callback,
                idempotency_key=idempotency_key,
            )
        except asyncio.CancelledError:
            session.output.note("left before the gateway answered: see `perdure runs list`")
            raise
        if detach:
            detached(session.output, started)
            return ExitCode.OK
        return await follow(client, session.output, started, skill, patience_of(wait))


def patience_of(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
