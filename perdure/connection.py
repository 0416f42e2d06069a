from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from perdure.errors import BadUsage, NotConfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

URL, KEY, WORKSPACE, HOME = (
    "PERDURE_URL",
    "PERDURE_API_KEY",
    "PERDURE_WORKSPACE",
    "PERDURE_HOME",
)
HOME_NAME = ".perdure"
FILE_NAME = "credentials.json"
START = "start one with `make up` (or `perdure up`)"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Access = Literal["workspace", "admin"]


@dataclass(frozen=True)
class Credentials:
    """What an installation on this machine wrote down about itself."""

    file: Path
    url: str
    temporal_ui: str | None
    admin_key: str | None
    workspace_id: str | None
    workspace_key: str | None


@dataclass(frozen=True)
class Connection:
    url: str
    key: str
    workspace: str | None = None
    temporal_ui: str | None = None

    @property
    def is_local(self) -> bool:
        return urlsplit(self.url).hostname in LOOPBACK

    @property
    def named_workspace(self) -> str:
        if not self.workspace:
            raise NotConfigured(f"no workspace: set {WORKSPACE}, or name one (--workspace)")
        return self.workspace

    def below(self, *parts: str) -> str:
        """A path of this workspace's."""
        return at("workspaces", self.named_workspace, *parts)

    def __repr__(self) -> str:
        return f"Connection(url={self.url!r}, workspace={self.workspace!r})"


def connect_to(
    *,
    url: str | None = None,
    key: str | None = None,
    workspace: str | None = None,
    access: Access = "workspace",
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Connection:
    """What is not given comes from the environment, and then from the nearest installation."""
    credentials = find_credentials(environment, folder or Path.cwd())
    url = url or environment.get(URL) or (credentials.url if credentials else None)
    if not url:
        raise NotConfigured(f"no gateway found: {START}, or set {URL} and {KEY}")
    url = checked_url(url)
    # A key goes only where it was made for: never from one installation's file to another's URL.
    if credentials and not _same(url, credentials.url):
        credentials = None
    return Connection(
        url=url,
        key=key or _key(access, environment, credentials, url),
        workspace=workspace
        or environment.get(WORKSPACE)
        or (credentials.workspace_id if credentials else None),
        temporal_ui=credentials.temporal_ui if credentials else None,
    )


def at(*parts: str) -> str:
    """A path below /api, whatever characters the names have."""
    for part in parts:
        if part in ("", ".", ".."):
            raise BadUsage(f"{part!r} is not a name")
    return "/api/" + "/".join(quote(part, safe="") for part in parts)


def checked_url(url: str) -> str:
    wrong = NotConfigured(f"{url!r} is not the URL of a gateway: expected http://… or https://…")
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise wrong
    return url.strip().rstrip("/")


def home(environment: Mapping[str, str], folder: Path) -> Path | None:
    """PERDURE_HOME, or the nearest .perdure from here upwards."""
    if named := environment.get(HOME):
        return Path(named).expanduser()
    for place in (folder, *folder.parents):
        found = place / HOME_NAME
        if (found / FILE_NAME).is_file():
            # Somebody who may write above us must not learn our inputs by leaving a file there.
            if os.geteuid() not in (0, (owner := found.stat().st_uid)) and owner != 0:
                raise NotConfigured(
                    f"{found} belongs to another user: set {HOME}, or {URL} and {KEY}"
                )
            return found
    return None


def find_credentials(environment: Mapping[str, str], folder: Path) -> Credentials | None:
    place = home(environment, folder)
    if place is None:
        return None
    file = place / FILE_NAME
    try:
        content = file.read_text("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotConfigured(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NotConfigured(f"{file} is not text: remove it and start again") from None
    return _read(file, content)


def _read(file: Path, content: str) -> Credentials:
    try:
        read: Any = json.loads(content)
    except ValueError:
        read = None
    if not isinstance(read, dict) or not isinstance(read.get("url"), str):
        raise NotConfigured(f"{file} is damaged: remove it, and {START}")

    def text(name: str) -> str | None:
        value: Any = read.get(name)
        return value if isinstance(value, str) and value else None

    return Credentials(
        file=file,
        url=checked_url(read["url"]),
        temporal_ui=text("temporal_ui"),
        admin_key=text("admin_key"),
        workspace_id=text("workspace_id"),
        workspace_key=text("workspace_key"),
    )


def _key(
    access: Access, environment: Mapping[str, str], credentials: Credentials | None, url: str
) -> str:
    named = environment.get(KEY)
    if access == "admin":
        key = (credentials.admin_key if credentials else None) or named
        missing = f"no admin key for {url}: set {KEY}"
    else:
        key = named or (credentials.workspace_key if credentials else None)
        missing = f"no key for {url}: set {KEY}"
    if not key:
        raise NotConfigured(missing)
    if not key.isascii() or not key.isprintable():
        raise NotConfigured(f"{KEY} holds characters that no key has")
    return key


def _same(one: str, other: str) -> bool:
    def place(url: str) -> tuple[str, str, int | None]:
        parts = urlsplit(url)
        host = "localhost" if parts.hostname in LOOPBACK else parts.hostname or ""
        return host, parts.scheme, parts.port or (443 if parts.scheme == "https" else 80)

    return place(one) == place(other)
