"""What can be wrong with an installation, and the sentence that mends it."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from perdure import connection
from perdure.command import installed
from perdure.command.check import Check, well, wrong
from perdure.command.session import WORKSPACE_OPTION
from perdure.errors import PerdureError, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Generator

    from perdure.client import Client
    from perdure.command.session import Session
    from perdure.connection import Credentials
    from perdure.workspace import Part, Readiness

T = TypeVar("T")

# As far as anybody else may see into PERDURE_HOME: to pass, for a PostgreSQL that runs as nobody.
MOST_OF_HOME = 0o711
MOST_OF_FILE = 0o600
LOOK_WITHIN = 3.0  # seconds
ANSWER_WITHIN = 8.0  # seconds: the gateway itself gives Temporal and Postgres two
SEE_LOG = "see the gateway's log"
MEND_PART = {
    "temporal": "start it, or mend TEMPORAL_ADDRESS where the gateway runs",
    "postgres": "start it, or mend DATABASE_URL where the gateway runs",
    "worker": "start one with `perdure worker`: until then runs stay queued",
}


async def examine(session: Session) -> AsyncGenerator[Check]:
    folder = Path.cwd()
    place = None
    try:
        place = connection.home(os.environ, folder)
        credentials = connection.find_credentials(os.environ, folder)
    except PerdureError as error:
        yield wrong("credentials", error.detail, "mend that first")
        credentials = None
    else:
        found = _found(place, credentials)
        yield found
        if not found.ok:
            if not os.environ.get(connection.URL):
                for check in installed.ports(place):
                    yield check
            return
    if place is not None and place.is_dir():
        for check in _private(place):
            yield check
    try:
        async with session.client() as client:
            async for check in _examine_gateway(client, session, place):
                yield check
    except PerdureError as error:
        yield wrong("connection", error.detail, "until then nothing else can be known")


def _found(place: Path | None, credentials: Credentials | None) -> Check:
    if credentials:
        return well("credentials", f"{credentials.file}, for {credentials.url}")
    named = {name: os.environ.get(name) for name in (connection.URL, connection.KEY)}
    match [name for name, value in named.items() if not value]:
        case []:
            said = f"{connection.URL} and {connection.KEY} are set; no installation here"
            return well("credentials", said)
        case [missing]:
            [given] = named.keys() - {missing}
            said = f"{given} is set, and {missing} is missing; no installation here"
            return wrong("credentials", said, f"set {missing}")
        case _:
            pass
    missing = f"{place}/{connection.FILE_NAME} is missing" if place else "no installation was found"
    return wrong(
        "credentials",
        missing,
        f"{connection.START}, or set {connection.URL} and {connection.KEY}",
    )


def _private(place: Path) -> Generator[Check]:
    for path, most in ((place, MOST_OF_HOME), (place / connection.FILE_NAME, MOST_OF_FILE)):
        try:
            mode = path.stat().st_mode & 0o777
        except OSError:
            continue
        name, said = f"permissions of {path.name}", f"{mode:04o}"
        if mode & ~most:
            private = 0o700 if path == place else MOST_OF_FILE
            yield wrong(name, f"{said}: others may look inside", f"chmod {private:o} {path}")
        else:
            yield well(name, said)


async def _examine_gateway(
    client: Client, session: Session, place: Path | None
) -> AsyncGenerator[Check]:
    url = client.connection.url
    try:
        readiness = await _soon(client.readiness())
    except Unreachable as error:
        said = error.detail.removesuffix(f": {connection.START}")
        yield wrong("gateway", said, _mend_gateway(client, place))
        if client.connection.is_local:
            for check in installed.ports(place):
                yield check
        return
    yield well("gateway", f"answers at {url}")
    yield await _version(client)
    for check in _parts(readiness):
        yield check
    # Keys are in Postgres: while it is away, an answer takes long and says only that.
    if readiness.postgres is None or readiness.postgres.ok:
        yield await _key(client, session)
    if client.connection.temporal_ui:
        yield await _temporal_ui(client.connection.temporal_ui)


async def _soon(asking: Awaitable[T]) -> T:
    import asyncio

    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            return await asking
    except TimeoutError:
        raise Unreachable(f"no answer within {ANSWER_WITHIN:g} s") from None


def _mend_gateway(client: Client, place: Path | None) -> str:
    if not client.connection.is_local:
        return f"see whether it runs and can be reached from here, or mend {connection.URL}"
    if installed.is_up(place) and installed.is_at(place, client.connection.url):
        return installed.comes_back(place, "gateway")
    return f"{connection.START}, or mend {connection.URL}"


async def _version(client: Client) -> Check:
    own = version("perdure")
    try:
        theirs = await _soon(client.version())
    except PerdureError as error:
        return wrong("version", error.detail, SEE_LOG)
    if theirs is None or theirs == own:
        return well("version", own)
    mend = "install the same version here and there, and restart the gateway"
    return wrong("version", f"{own} here, {theirs} at the gateway", mend)


def _parts(readiness: Readiness) -> Generator[Check]:
    unknown = {"worker"} if readiness.temporal and not readiness.temporal.ok else set[str]()
    for name, mend in MEND_PART.items():
        part: Part | None = getattr(readiness, name)
        # Only Temporal knows who works.
        if part is not None and name not in unknown:
            yield well(name, part.detail) if part.ok else wrong(name, part.detail, mend)
    if not readiness.ready and not readiness.says_why:
        yield wrong("readiness", "the gateway is not ready", SEE_LOG)


async def _key(client: Client, session: Session) -> Check:
    workspace = client.connection.workspace
    if not workspace:
        mend = f"set {connection.WORKSPACE}, or add {WORKSPACE_OPTION}"
        return wrong("key", "no workspace is named", mend)
    try:
        await _soon(client.workspaces.get(workspace))
    except Refused as error:
        return wrong("key", error.detail, _mend_key(error, workspace, session))
    except Unreachable as error:
        return wrong("key", error.detail, SEE_LOG)
    return well("key", f"opens the workspace {workspace}")


def _mend_key(refused: Refused, workspace: str, session: Session) -> str:
    match refused.status:
        case 401:
            return f"the key is not, or no longer, valid: mend {connection.KEY}, or run `make up`"
        case 404:
            why = "there is none of this name"
            if session.access == "workspace":
                why = f"{why}, or this key opens another one"
            return f"{why}: mend {_named(workspace, session)}"
        case 403:
            return "use a key with the scope read"
        case _:
            return SEE_LOG


def _named(workspace: str, session: Session) -> str:
    """Where the workspace was named, as its reader wrote it."""
    if session.workspace:
        return f"{WORKSPACE_OPTION} {workspace}"
    if os.environ.get(connection.WORKSPACE):
        return f"{connection.WORKSPACE}={workspace}"
    return f"workspace_id in {connection.FILE_NAME}"


async def _temporal_ui(url: str) -> Check:
    import httpx2

    local = urlsplit(url).hostname in connection.LOOPBACK
    try:
        async with httpx2.AsyncClient(trust_env=not local, timeout=LOOK_WITHIN) as http:
            answer = await http.get(url)
    except (httpx2.HTTPError, httpx2.InvalidURL):
        mend = "start it with Temporal; runs go on without it"
        return wrong("Temporal UI", f"nothing answers at {url}", mend)
    if answer.is_server_error:
        mend = "see Temporal's log; runs go on without it"
        return wrong("Temporal UI", f"{url} answers {answer.status_code}", mend)
    return well("Temporal UI", url)
