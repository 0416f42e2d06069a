from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress

import psutil

from dev.errors import CannotStart

LOOK_EVERY = 0.02  # seconds


def chosen(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip() or str(default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise CannotStart(f"{variable}={text} is not a port: it must be a number from 1 to 65535")
    return int(text)


def require_different(ports: dict[str, int]) -> None:
    for variable, port in ports.items():
        same = [other for other, number in ports.items() if number == port]
        if len(same) > 1:
            raise CannotStart(
                f"{' and '.join(same)} are both {port}: choose another for {variable}"
            )


def require_free(ports: dict[str, int]) -> None:
    for variable, port in ports.items():
        if not _is_free(port):
            raise CannotStart(
                f"port {port} is taken{_owner(port)}: stop it, or choose another with {variable}=…"
            )


def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


async def answers(port: int) -> None:
    """Returns when somebody listens there."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(LOOK_EVERY)
        else:
            writer.close()
            return


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _owner(port: int) -> str:
    """Of another user's process we learn no pid, and of some systems' none at all."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            # Not one of an unknown address, which is an empty tuple.
            here = [*connection.laddr][1:] == [port]
            if here and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""
