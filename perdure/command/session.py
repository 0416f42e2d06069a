from __future__ import annotations

import functools
import inspect
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perdure.command.output import Form, Output

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from perdure.client import Client
    from perdure.command.exits import ExitCode
    from perdure.connection import Access

    Command = Callable[..., Coroutine[Any, Any, ExitCode | None]]

JSON_OPTION = "--json"
ADMIN_OPTION = "--admin"
WORKSPACE_OPTION = "--workspace"

Json = Annotated[bool, typer.Option(JSON_OPTION, help="Print JSON, and errors as JSON on stderr.")]
Workspace = Annotated[
    str | None, typer.Option(WORKSPACE_OPTION, "-w", metavar="ID", help="Another workspace.")
]
Admin = Annotated[bool, typer.Option(ADMIN_OPTION, help="Use the admin key.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")]
Cursor = Annotated[
    str | None, typer.Option(metavar="CURSOR", help="Go on where the page before ended.")
]


@dataclass(frozen=True)
class Session:
    """One command being carried out: whom it speaks as, and how it answers."""

    output: Output
    access: Access = "workspace"
    workspace: str | None = None

    @property
    def form(self) -> Form:
        return self.output.form

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Client]:
        from perdure.client import Client

        async with Client(workspace=self.workspace, access=self.access) as client:
            yield client


SHARED = (
    inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json),
    inspect.Parameter(
        "workspace", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Workspace
    ),
    inspect.Parameter("admin", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Admin),
)


def command(app: typer.Typer, name: str) -> Callable[[Command], Command]:
    """Adds an async function as a command: its first argument is the session, and it gets --json,
    --workspace and --admin besides its own options."""

    def add(function: Command) -> Command:
        signature = inspect.signature(function, eval_str=True)
        _, *own = signature.parameters.values()

        @functools.wraps(function)
        def carry_out(
            *, json: bool, workspace: str | None, admin: bool, **arguments: Any
        ) -> ExitCode | None:
            import asyncio

            session = Session(
                output=Output("json" if json else "text"),
                access="admin" if admin else "workspace",
                workspace=workspace,
            )
            return asyncio.run(function(session, **arguments))

        parameters = [*own, *SHARED]
        # What Typer reads in place of the wrapper's own.
        carry_out.__signature__ = signature.replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue]
        carry_out.__annotations__ = {each.name: each.annotation for each in parameters}
        app.command(name)(carry_out)
        return function

    return add


def group(name: str, summary: str) -> typer.Typer:
    return typer.Typer(name=name, help=summary, no_args_is_help=True)
