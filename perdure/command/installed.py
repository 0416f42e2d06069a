"""What an installation on this machine wrote down about itself, and who has its ports."""

from __future__ import annotations

import fcntl
import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from perdure.command.check import Check, well, wrong
from perdure.connection import HOME

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

GATEWAY_PORT = "PERDURE_PORT"
PORTS = {GATEWAY_PORT: 8000, "PERDURE_TEMPORAL_PORT": 7233, "PERDURE_TEMPORAL_UI_PORT": 8233}
PARTS = {
    GATEWAY_PORT: "gateway",
    "PERDURE_TEMPORAL_PORT": "temporal",
    "PERDURE_TEMPORAL_UI_PORT": "temporal",
}
# What a setting of the installation says of a port.
WRITTEN = {
    "PERDURE_PORT": GATEWAY_PORT,
    "TEMPORAL_ADDRESS": "PERDURE_TEMPORAL_PORT",
    "PERDURE_TEMPORAL_UI_URL": "PERDURE_TEMPORAL_UI_PORT",
}
LOOK_WITHIN = 3.0  # seconds


def is_up(place: Path | None) -> bool:
    """Whoever keeps an installation running holds its lock, and nobody else can."""
    if place is None:
        return False
    try:
        with (place / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def is_at(place: Path | None, url: str) -> bool:
    """Whether this is where its gateway serves."""
    return str(urlsplit(url).port) == own_ports(place).get(GATEWAY_PORT)


def comes_back(place: Path | None, part: str) -> str:
    return f"the rest of the installation runs, and starts it again: see {place}/logs/{part}.log"


def ports(place: Path | None) -> Generator[Check]:
    """No gateway answers: its ports are its own installation's, free, or somebody else's."""
    if is_up(place):
        for name, number in own_ports(place).items():
            if _is_taken(int(number)):
                yield well(name, f"port {number} is this installation's {PARTS[name]}")
            else:
                yield wrong(name, f"nothing has port {number}", comes_back(place, PARTS[name]))
        return
    other = None
    for name, default in PORTS.items():
        text = os.environ.get(name) or str(default)
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
            yield wrong(name, f"{text} is not a port", "set a number from 1 to 65535")
        elif not _is_taken(int(text)):
            yield well(name, f"port {text} is free")
        elif other is None and name == GATEWAY_PORT and _is_gateway(int(text)):
            other = text
            mend = f"work where it was started, or set {HOME} to its own: it may be what you want"
            yield wrong(name, f"another Perdure has port {text}", f"{mend}; else {name}=…")
        elif other is not None:
            mend = f"see whether it belongs to the Perdure on port {other}; else {name}=…"
            yield wrong(name, f"port {text} is taken", mend)
        else:
            mend = f"stop who has it, or choose another with {name}=…"
            yield wrong(name, f"port {text} is taken", mend)


def own_ports(place: Path | None) -> dict[str, str]:
    """Those of the last start."""
    if place is None:
        return {}
    try:
        lines = (place / "environment").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    found: dict[str, str] = {}
    for line in lines:
        setting, _, value = line.partition("=")
        name, number = WRITTEN.get(setting), value.strip("'/").rpartition(":")[2]
        if name and number.isascii() and number.isdigit():
            found[name] = number
    return found


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(LOOK_WITHIN)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_gateway(port: int) -> bool:
    import httpx2

    try:
        with httpx2.Client(trust_env=False, timeout=LOOK_WITHIN) as http:
            answer = http.get(f"http://127.0.0.1:{port}/openapi.json")
            return answer.json()["info"]["title"] == "Perdure"
    except (httpx2.HTTPError, ValueError, KeyError, TypeError):
        return False
