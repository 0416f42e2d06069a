"""The directory an installation keeps everything in; one owner at a time."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import shlex
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from dev.errors import CannotStart

if TYPE_CHECKING:
    from collections.abc import Generator

OTHERS_MAY_PASS = 0o711  # the most that is ever needed, by a PostgreSQL that runs as nobody


@dataclass(frozen=True)
class Keys:
    encryption: str
    admin: str
    codec: str


class Home:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.postgres = path / "postgres"
        self.temporal = path / "temporal.db"
        self._keys = path / "keys.json"
        self._credentials = path / "credentials.json"
        self._environment = path / "environment"
        self._demo_data = path / "demo-data"

    def log(self, name: str) -> Path:
        return self._folder("logs") / f"{name}.log"

    def note(self, name: str) -> Path:
        return self._folder("run") / f"{name}.json"

    def notes(self) -> list[Path]:
        return sorted(self._folder("run").glob("*.json"))

    def keys(self) -> Keys:
        """Made once: whatever was encrypted can be read only with them."""
        if self._keys.exists():
            try:
                return Keys(**json.loads(self._keys.read_text()))
            except (ValueError, TypeError) as error:
                raise CannotStart(
                    f"{self._keys} is damaged: restore it, {self._or_anew}"
                ) from error
        if self.postgres.exists():
            raise CannotStart(
                f"{self._keys} is missing, and without it what is stored in {self.path} cannot be "
                f"read: restore it, {self._or_anew}"
            )
        keys = Keys(
            encryption=f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            admin=secrets.token_urlsafe(32),
            codec=secrets.token_urlsafe(32),
        )
        write_private(self._keys, json.dumps(asdict(keys), indent=2))
        return keys

    def credentials(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._credentials.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def publish(self, credentials: dict[str, str]) -> None:
        write_private(self._credentials, json.dumps(credentials, indent=2))

    def publish_settings(self, settings: dict[str, str]) -> None:
        """For a shell or a process that wants to belong here, in the form both can read."""
        lines = [f"{name}={shlex.quote(value)}" for name, value in sorted(settings.items())]
        write_private(self._environment, "\n".join([*lines, ""]))

    def demo_data(self) -> date | None:
        """Of which day the demo company is; kept when it is removed, so that it stays away."""
        try:
            return date.fromisoformat(self._demo_data.read_text())
        except (OSError, ValueError):
            return None

    def note_demo_data(self, day: date) -> None:
        write_private(self._demo_data, day.isoformat())

    def _folder(self, name: str) -> Path:
        folder = self.path / name
        folder.mkdir(exist_ok=True)
        return folder

    _or_anew = "or set PERDURE_HOME to a new directory"


def chosen() -> Path:
    return Path(os.environ.get("PERDURE_HOME") or ".perdure").expanduser().resolve()


@contextmanager
def occupied(path: Path, url: str) -> Generator[Home]:
    """Temporal does not protect its file from a second server, and PostgreSQL is fooled by pids."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_mode & 0o777 & ~OTHERS_MAY_PASS:
            path.chmod(0o700)
        lock = (path / "lock").open("a+")
    except OSError as error:
        raise CannotStart(f"{path} cannot be used ({error.strerror}): set PERDURE_HOME") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            owner = lock.read().strip() or "starting"
            raise CannotStart(
                f"{path} is in use by another `make up` ({owner}): stop it, or set PERDURE_HOME, "
                "PERDURE_PORT, PERDURE_TEMPORAL_PORT and PERDURE_TEMPORAL_UI_PORT"
            ) from error
        lock.truncate(0)
        lock.write(f"pid {os.getpid()}, {url}")
        lock.flush()
        yield Home(path)


def write_private(path: Path, content: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
    new.replace(path)
