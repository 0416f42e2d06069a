"""`python -m llm.demo --port P`: the demo provider as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import signal
import sys

from llm.demo.server import open_server
from llm.demo.view import Handler


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m llm.demo", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one and says which")
    parser.add_argument("--handler", action="append", default=[], metavar="MODULE:FUNCTION")
    parser.add_argument("--record", choices=("digests", "bodies"), default="digests")
    wanted = parser.parse_args()
    if os.environ.get("ENV") == "production":
        sys.stderr.write("the demo model does not run where ENV is production\n")
        return 2
    handlers = tuple(_handler(name) for name in wanted.handler)
    try:
        asyncio.run(_serve(wanted.port, handlers, wanted.record))
    except OSError as error:
        sys.stderr.write(f"port {wanted.port}: {error.strerror}\n")
        return 1
    return 0


def _handler(name: str) -> Handler:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


async def _serve(port: int, handlers: tuple[Handler, ...], record: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_server(port, handlers, "bodies" if record == "bodies" else "digests") as demo:
        sys.stdout.write(f"demo model on {demo.url}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
