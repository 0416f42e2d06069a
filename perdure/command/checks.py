"""What can be wrong with an installation, and the sentence that mends it."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from perdure import connection
from perdure.errors import PerdureError, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from perdure.client import Client
    from perdure.command.session import Session
    from perdure.connection import Credentials
    from perdure.workspace import Part, Readiness

# As far as anybody else may see into PERDURE_HOME: to pass, for a PostgreSQL that runs as nobody.
MOST_OF_HOME = 0o711
MOST_OF_FILE = 0o600
PORTS = {"PERDURE_PORT": 8000, "PERDURE_TEMPORAL_PORT": 7233, "PERDURE_TEMPORAL_UI_PORT": 8233}
LOOK_WITHIN = 3.0  # seconds
SEE_LOG = "see the gateway's log"
MEND_PART = {
    "temporal": "start it, or mend TEMPORAL_ADDRESS where the gateway runs",
    "postgres": "start it, or mend DATABASE_URL where the gateway runs",
    "worker": "start one with `perdure worker`: until then runs stay queued",
}


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    said: str
    mend: str | None = None

    def document(self) -> dict[str, Any]:
        return asdict(self)


def well(name: str, said: str) -> Check:
    return Check(name, ok=True, said=said)


def wrong(name: str, said: str, mend: str) -> Check:
    return Check(name, ok=False, said=said, mend=mend)


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
            for check in _ports():
                yield check
            return
    if place is not None and place.is_dir():
        for check in _private(place):
            yield check
    try:
        async with session.client() as client:
            async for check in _examine_gateway(client):
                yield check
    except PerdureError as error:
        yield wrong("connection", error.detail, "until then nothing else can be known")
        for check in _ports():
            yield check


def _found(place: Path | None, credentials: Credentials | None) -> Check:
    if credentials:
        return well("credentials", f"{credentials.file}, for {credentials.url}")
    if os.environ.get(connection.URL) and os.environ.get(connection.KEY):
        said = f"{connection.URL} and {connection.KEY} are set; no installation here"
        return well("credentials", said)
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


async def _examine_gateway(client: Client) -> AsyncGenerator[Check]:
    url = client.connection.url
    try:
        readiness = await client.readiness()
    except Unreachable as error:
        said = error.detail.removesuffix(f": {connection.START}")
        yield wrong("gateway", said, _mend_gateway(client))
        if client.connection.is_local:
            for check in _ports():
                yield check
        return
    yield well("gateway", f"answers at {url}")
    yield await _version(client)
    for check in _parts(readiness):
        yield check
    yield await _key(client)
    if client.connection.temporal_ui:
        yield await _temporal_ui(client.connection.temporal_ui)


def _mend_gateway(client: Client) -> str:
    if client.connection.is_local:
        return f"{connection.START}, or mend {connection.URL}"
    return f"see whether it runs and can be reached from here, or mend {connection.URL}"


async def _version(client: Client) -> Check:
    own = version("perdure")
    try:
        theirs = await client.version()
    except PerdureError as error:
        return wrong("version", error.detail, SEE_LOG)
    if theirs is None or theirs == own:
        return well("version", own)
    mend = "install the same version here and there, and restart the gateway"
    return wrong("version", f"{own} here, {theirs} at the gateway", mend)


def _parts(readiness: Readiness) -> Generator[Check]:
    for name, mend in MEND_PART.items():
        part: Part | None = getattr(readiness, name)
        if part is not None:
            yield well(name, part.detail) if part.ok else wrong(name, part.detail, mend)
    if not readiness.ready and not readiness.says_why:
        yield wrong("readiness", "the gateway is not ready", SEE_LOG)


async def _key(client: Client) -> Check:
    workspace = client.connection.workspace
    if not workspace:
        mend = f"set {connection.WORKSPACE}, or add --workspace"
        return wrong("key", "no workspace is named", mend)
    try:
        await client.workspaces.get(workspace)
    except Refused as error:
        match error.status:
            case 401:
                mend = (
                    f"the key is not, or no longer, valid: mend {connection.KEY}, or run `make up`"
                )
            case 404:
                mend = f"the key belongs to another workspace: mend {connection.WORKSPACE}"
            case 403:
                mend = "use a key with the scope read"
            case _:
                mend = SEE_LOG
        return wrong("key", error.detail, mend)
    except Unreachable as error:
        return wrong("key", error.detail, SEE_LOG)
    return well("key", f"opens the workspace {workspace}")


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


def _ports() -> Generator[Check]:
    """No gateway answers: whoever has its ports keeps it from starting."""
    for name, default in PORTS.items():
        text = os.environ.get(name) or str(default)
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
            yield wrong(name, f"{text} is not a port", "set a number from 1 to 65535")
            continue
        taken = _is_taken(int(text))
        if taken:
            mend = f"stop who has it, or choose another with {name}=…"
            yield wrong(name, f"port {text} is taken", mend)
        else:
            yield well(name, f"port {text} is free")


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(LOOK_WITHIN)
        return probe.connect_ex(("127.0.0.1", port)) == 0
