from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from perdure.command.inputs import parse_pairs
from perdure.command.output import Styled
from perdure.command.plain import as_json
from perdure.command.root import root
from perdure.command.session import Cursor, Limit, Session, command, group
from perdure.command.view import more
from perdure.errors import BadUsage

if TYPE_CHECKING:
    from perdure.client import Client
    from perdure.workspace import Workspace

workspaces = group("workspaces", "Workspaces: each with its own skills, runs, keys and secrets.")
root.add_typer(workspaces)

WorkspaceId = Annotated[
    str | None, typer.Argument(metavar="[WORKSPACE]", help="Its id; without, the one in use.")
]
Timezone = Annotated[
    str | None, typer.Option(metavar="NAME", help="For its schedules, such as Europe/Berlin.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--setting", metavar="KEY=VALUE", help="JSON where it is JSON, else text; repeatable."
    ),
]


@command(workspaces, "list")
async def list_workspaces(session: Session, *, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the workspaces that the key reaches: all of them with --admin."""
    async with session.client() as client:
        page = await client.workspaces.list_page(limit=limit, cursor=cursor)
    if session.form == "json":
        session.output.document(page.document())
        return
    rows = [[each.id, each.name, each.timezone] for each in page.items]
    session.output.table(("WORKSPACE", "NAME", "TIMEZONE"), rows)
    more(session.output, page.next_cursor)


@command(workspaces, "create")
async def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it.")],
    *,
    workspace_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Else one is made up.")
    ] = None,
    timezone: Timezone = None,
    settings: Settings = None,
) -> None:
    """Make a workspace; needs --admin."""
    chosen = parse_pairs(settings) if settings else None
    async with session.client() as client:
        made = await client.workspaces.create(
            name, workspace_id=workspace_id, timezone=timezone, settings=chosen
        )
    if session.form == "text":
        session.output.say(Styled("✓ ", "green"), f"workspace {made.id} was made")
        session.output.note(f"  a key for it:  perdure keys create NAME --admin -w {made.id}")
    else:
        session.output.document(made.document())


@command(workspaces, "show")
async def show(session: Session, workspace_id: WorkspaceId = None) -> None:
    """Show a workspace and its settings."""
    async with session.client() as client:
        found = await client.workspaces.get(_named(client, workspace_id))
    _print(session, found)


@command(workspaces, "update")
async def update(
    session: Session,
    workspace_id: WorkspaceId = None,
    *,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What people call it.")] = None,
    timezone: Timezone = None,
    settings: Settings = None,
) -> None:
    """Change a workspace; settings that are not named stay as they are."""
    if name is None and timezone is None and not settings:
        raise BadUsage("nothing to change: give --name, --timezone or --setting")
    async with session.client() as client:
        chosen = _named(client, workspace_id)
        merged = None
        if settings:
            merged = (await client.workspaces.get(chosen)).settings | parse_pairs(settings)
        changed = await client.workspaces.change(
            chosen, name=name, timezone=timezone, settings=merged
        )
    _print(session, changed)


def _named(client: Client, workspace_id: str | None) -> str:
    chosen = workspace_id or client.connection.workspace
    if not chosen:
        raise BadUsage("name the workspace")
    return chosen


def _print(session: Session, workspace: Workspace) -> None:
    if session.form == "json":
        session.output.document(workspace.document())
        return
    session.output.say(Styled(workspace.id, "bold"), f"  {workspace.name}  {workspace.timezone}")
    if workspace.settings:
        session.output.say(as_json(workspace.settings, indent=2))
