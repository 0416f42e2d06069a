from __future__ import annotations

import functools
import inspect
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perdure.command.output import Form, Output
from perdure.errors import BadUsage

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
        app.command(name)(_carrying_out(function))
        return function

    return add


def by_itself(app: typer.Typer) -> Callable[[Command], Command]:
    """As `command`, for what a group does when it is typed without a subcommand."""

    def add(function: Command) -> Command:
        carry_out = _carrying_out(function)

        def unless_there_is_more(ctx: typer.Context, **arguments: Any) -> ExitCode | None:
            if ctx.invoked_subcommand is None:
                return carry_out(**arguments)
            if any(arguments.values()):
                raise BadUsage(f"put the options behind `{ctx.invoked_subcommand}`")
            return None

        given = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        _declare(unless_there_is_more, [given, *inspect.signature(carry_out).parameters.values()])
        unless_there_is_more.__doc__ = function.__doc__
        app.callback(invoke_without_command=True)(unless_there_is_more)
        return function

    return add


def _carrying_out(function: Command) -> Callable[..., ExitCode | None]:
    _, *own = inspect.signature(function, eval_str=True).parameters.values()

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

    _declare(carry_out, [*own, *SHARED])
    return carry_out


def _declare(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> None:
    """What Typer reads in place of the wrapper's own."""
    function.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    function.__annotations__ = {each.name: each.annotation for each in parameters}


def group(name: str, summary: str) -> typer.Typer:
    return typer.Typer(name=name, help=summary, no_args_is_help=True)
