"""docs/cli.md says what the command really understands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from perdure.command.app import root
from perdure.command.exits import ExitCode
from perdure.connection import HOME, KEY, URL, WORKSPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
HEADING = re.compile(r"^#{2,3} .*`perdure .*$", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
SHARED = {"--json", "--workspace", "-w", "--admin", "--help", "-h"}


def commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, each in inner.items():
        yield from commands(each, (*path, name))


COMMANDS = dict(commands(get_command(root), ("perdure",)))


def options(command: Any) -> set[str]:
    found = {name for each in command.params for name in each.opts if name.startswith("-")}
    return found - SHARED


def section(path: tuple[str, ...]) -> str:
    """From the heading that names the command to the next heading."""
    name = re.compile(rf"`{re.escape(' '.join(path))}( [^`]*)?`")
    for heading in HEADING.finditer(PAGE):
        if name.search(heading[0]):
            following = re.compile(r"^#", re.MULTILINE).search(PAGE, heading.end())
            return PAGE[heading.start() : following.start() if following else None]
    raise AssertionError(f"docs/cli.md has no heading for {' '.join(path)}")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_is_documented(path: tuple[str, ...]) -> None:
    assert options(COMMANDS[path]) - set(OPTION.findall(section(path))) == set()


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_the_shared_options_and_help(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    assert all(each.help for each in command.params if each.opts[0].startswith("-"))
    if path[1] not in ("up", "server", "worker"):
        names = {name for each in command.params for name in each.opts}
        assert {"--json", "--workspace", "-w", "--admin"} <= names


def test_the_page_names_no_option_that_is_not_there() -> None:
    known = {"--install-completion", "--show-completion", "--version"} | SHARED
    known |= {name for command in COMMANDS.values() for name in options(command)}
    text = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    spans = re.findall(r"`([^`]+)`", text)
    named = {name for span in spans for name in OPTION.findall(span)}
    assert named - known == set()


def test_the_page_names_no_command_that_is_not_there() -> None:
    known = {" ".join(path[:words]) for path in COMMANDS for words in range(2, len(path) + 1)}
    for heading in HEADING.findall(PAGE):
        for named in re.findall(r"`(perdure(?: [a-z-]+)+)", heading):
            assert named in known


def test_every_exit_code_and_variable_is_documented() -> None:
    for code in ExitCode:
        assert f"| {code.value} |" in PAGE
    for variable in (URL, KEY, WORKSPACE, HOME):
        assert f"| `{variable}` |" in PAGE
