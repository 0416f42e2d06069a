from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

ORDER = ("run", "report", "runs", "skills", "llm", "workspaces", "keys", "secrets", "doctor", "up")


class ByUse(TyperGroup):
    """Lists first what is used most."""

    def list_commands(self, ctx: Any) -> list[str]:
        found = super().list_commands(ctx)
        return sorted(found, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


root = typer.Typer(
    cls=ByUse,
    name="perdure",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _tell_version(wanted: bool) -> None:  # noqa: FBT001 - how Typer calls it
    if wanted:
        from importlib.metadata import version

        typer.echo(f"perdure {version('perdure')}")
        raise typer.Exit


@root.callback()
def perdure(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Skills that finish: run them, watch them, mend them.

    Speaks to the gateway that PERDURE_URL and PERDURE_API_KEY name, else to the nearest .perdure.
    """
