from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perdure.command.exits import ExitCode
from perdure.command.output import Styled, fault_pieces
from perdure.command.plain import as_json
from perdure.command.progress import local
from perdure.command.root import root
from perdure.command.session import Cursor, Limit, Session, command, group
from perdure.command.view import more

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.errors import Fault
    from perdure.skill import Skill

skills = group("skills", "Write skills, check them, send them to the gateway.")
root.add_typer(skills)

ASK_WITHIN = 2.0  # seconds, where the answer is not needed

Name = Annotated[str, typer.Argument(metavar="SKILL", help="The skill's name.")]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder with its SKILL.md.")]
NameOfFolder = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Another name than the folder's.")
]


@command(skills, "list")
async def list_skills(session: Session, *, limit: Limit = 200, cursor: Cursor = None) -> None:
    """List the skills that can be run."""
    async with session.client() as client:
        page = await client.skills.list_page(limit=limit, cursor=cursor)
    if session.form == "json":
        session.output.document(page.document())
        return
    rows = [
        [one.name, one.trust_level, one.version[:12], local(one.last_run_at), one.description]
        for one in page.items
    ]
    session.output.table(("SKILL", "FROM", "VERSION", "LAST RUN", "DESCRIPTION"), rows)
    more(session.output, page.next_cursor)


@command(skills, "show")
async def show(
    session: Session,
    name: Name,
    *,
    file: Annotated[
        str | None, typer.Option(metavar="PATH", help="Print this file of it, and nothing else.")
    ] = None,
) -> ExitCode:
    """Show a skill: what it takes, and its files."""
    async with session.client() as client:
        skill = await client.skills.get(name)
    if file is not None:
        return _print_file(session, skill, file)
    if session.form == "json":
        session.output.document(skill.document())
    else:
        _show(session, skill)
    return ExitCode.OK


@command(skills, "check")
async def check(session: Session, folder: Folder, *, name: NameOfFolder = None) -> ExitCode:
    """Find the faults of a skill before it is pushed; code 1 where there are errors."""
    from perdure.bundle import read_bundle

    bundle = read_bundle(folder, name)
    async with session.client() as client:
        checked = await client.skills.check(bundle)
    if session.form == "json":
        session.output.document(checked.document())
    else:
        _print_faults(session, folder, checked.faults)
        if checked.ok:
            session.output.say(Styled("✓ ", "green"), f"{bundle.name} can be pushed and run")
    return ExitCode.OK if checked.ok else ExitCode.FAILED


@command(skills, "new")
async def new(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as weekly-report.")],
    *,
    parent: Annotated[
        Path, typer.Option("--in", metavar="FOLDER", help="Where its folder is made.")
    ] = Path(),
) -> None:
    """Write the folder of a new skill that runs as it is."""
    from perdure.command.starter import write_skill

    await _refuse_built_in(session, name)
    folder = write_skill(name, parent)
    if session.form == "json":
        session.output.document({"name": name, "folder": str(folder)})
        return
    session.output.say(f"wrote {folder}/SKILL.md and {folder}/flow.yaml")
    session.output.note("  change them, then:  ", f"perdure skills push {folder}")
    session.output.note("  and run it:         ", f"perdure run {name} -i who=you")


@command(skills, "push")
async def push(session: Session, folder: Folder, *, name: NameOfFolder = None) -> ExitCode:
    """Check a skill and send it to the gateway; it can be run at once.

    Hidden files and __pycache__ stay here.
    """
    from perdure.bundle import read_bundle

    bundle = read_bundle(folder, name)
    async with session.client() as client:
        checked = await client.skills.check(bundle)
        if session.form == "text":
            _print_faults(session, folder, checked.faults)
        if not checked.ok:
            if session.form == "json":
                session.output.document(checked.document())
            session.output.note(f"{bundle.name} was not pushed")
            return ExitCode.FAILED
        pushed = await client.skills.push(bundle)
    if session.form == "json":
        session.output.document(pushed.document())
    else:
        version = f" as version {pushed.version[:12]}" if pushed.version else ""
        session.output.say(Styled("✓ ", "green"), f"{bundle.name} was pushed{version}")
        session.output.note("  run it:  ", f"perdure run {bundle.name}")
    return ExitCode.OK


@command(skills, "remove")
async def remove(session: Session, name: Name) -> None:
    """Remove a pushed skill; its runs go on, and stay."""
    async with session.client() as client:
        await client.skills.remove(name)
    if session.form == "json":
        session.output.document({"name": name, "removed": True})
    else:
        session.output.say(f"{name} was removed")


async def _refuse_built_in(session: Session, name: str) -> None:
    """Its folder could never be pushed; where no gateway says so, none is needed."""
    import asyncio

    from perdure.errors import BadUsage, PerdureError

    try:
        async with asyncio.timeout(ASK_WITHIN), session.client() as client:
            found = await client.skills.get(name)
    except (PerdureError, TimeoutError):
        return
    if found.trust_level == "built_in":
        refused = f"{name} comes with this installation and cannot be pushed over"
        raise BadUsage(f"{refused}: choose another name")


def _print_faults(session: Session, folder: Path, faults: Sequence[Fault]) -> None:
    for fault in faults:
        session.output.say(Styled(f"{folder}/", "dim"), *fault_pieces(fault))


def _print_file(session: Session, skill: Skill, path: str) -> ExitCode:
    from perdure.errors import BadUsage

    if path not in skill.files:
        known = ", ".join(sorted(skill.files))
        raise BadUsage(f"{skill.name} has no text file {path}: it has {known}")
    if session.form == "json":
        session.output.document({"path": path, "content": skill.files[path]})
    else:
        session.output.say(skill.files[path].rstrip("\n"))
    return ExitCode.OK


def _show(session: Session, skill: Skill) -> None:
    output = session.output
    output.say(Styled(skill.name, "bold"), f"  {skill.trust_level}  {skill.version[:12]}")
    output.say(f"  {skill.description}")
    for label, value in (("schedule", skill.schedule), ("last run", local(skill.last_run_at))):
        if value:
            output.say(Styled(f"  {label}: ", "dim"), value)
    if skill.allowed_tools is not None:
        output.say(Styled("  tools: ", "dim"), " ".join(skill.allowed_tools) or "none")
    if skill.inputs:
        output.say()
        output.table(("INPUT", "TYPE", "DEFAULT", "ABOUT"), map(_input_row, skill.inputs.items()))
    if skill.files:
        output.say()
        output.say(Styled("files", "bold"))
        for path in sorted(skill.files):
            output.say(f"  {path}")
    for fault in skill.warnings:
        output.say(*fault_pieces(fault))


def _input_row(named: tuple[str, Any]) -> list[str]:
    name, schema = named
    fields: dict[str, Any] = schema if isinstance(schema, dict) else {}
    left_out = "required" if fields.get("required", True) else "none"
    default = as_json(fields["default"]) if "default" in fields else left_out
    kind = fields.get("type", "any")
    return [name, kind if isinstance(kind, str) else as_json(kind), default, _about(fields)]


def _about(fields: dict[str, Any]) -> str:
    about = fields.get("description")
    return about if isinstance(about, str) else ""
