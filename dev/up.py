"""`make up`: the whole of Perdure on one machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from functools import partial
from io import TextIOWrapper
from typing import NoReturn

import psutil

from dev import ports
from dev.errors import CannotStart
from dev.home import occupied
from dev.plan import Plan
from dev.stack import Stack
from dev.supervisor import DiedWhileStarting, stop_orphans
from dev.terminal import Terminal
from dev.tether import SET_PARENT_DEATH_SIGNAL

INTERRUPTED = 130
PATIENCE = 3  # presses of Ctrl-C until nobody is asked any more


def main() -> NoReturn:
    parser = argparse.ArgumentParser(prog="perdure up", description=__doc__)
    parser.add_argument("--no-worker", action="store_true", help="start all but the worker")
    chosen = parser.parse_args()
    # Temporal would let everybody read its database, and the home may have to be passable.
    os.umask(0o077)
    try:
        plan = Plan.from_environment("elsewhere" if chosen.no_worker else "here")
        status = asyncio.run(up(plan))
    except CannotStart as reason:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"perdure: {reason}\n")
            sys.stderr.flush()
        status = 1
    except KeyboardInterrupt:  # before anything was started
        status = INTERRUPTED
    # Leaving the usual way, a process that has used temporalio sometimes aborts.
    os._exit(status)


async def up(plan: Plan) -> int:
    _die_with_make()
    with occupied(plan.home, plan.url) as mine:
        stop_orphans(mine)
        ports.require_free(plan.ports)
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # not every terminal speaks UTF-8
        terminal = Terminal(sys.stdout, partial(loop.call_soon_threadsafe, stopping.set))
        try:
            return await _serve(Stack(plan, mine, terminal), terminal, stopping)
        finally:
            terminal.close()


async def _serve(stack: Stack, terminal: Terminal, stopping: asyncio.Event) -> int:
    _stop_on_signals(stack, terminal, stopping)
    serving = asyncio.create_task(stack.serve())
    asked = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
    serving.cancel()
    await asyncio.wait({serving})
    await stack.stop()
    if serving.cancelled() or not (error := serving.exception()):
        terminal.say("stopped")
        return 0
    for reason in _reasons(error):
        terminal.say(str(reason))
    return 1


def _reasons(error: BaseException) -> list[BaseException]:
    match error:
        case BaseExceptionGroup():
            return [reason for inner in error.exceptions for reason in _reasons(inner)]
        case CannotStart() | DiedWhileStarting():
            return [error]
        case _:
            raise error


def _stop_on_signals(stack: Stack, terminal: Terminal, stopping: asyncio.Event) -> None:
    presses = 0

    def stop() -> None:
        nonlocal presses
        presses += 1
        if presses == 1:
            terminal.say("stopping")
            stopping.set()
        elif presses == PATIENCE:
            stack.kill()
            os._exit(INTERRUPTED)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def _die_with_make() -> None:
    """`kill -9` of make ends what it started; anybody else's shell may go and leave us running."""
    with contextlib.suppress(psutil.Error):
        if sys.platform == "linux" and psutil.Process(os.getppid()).name() in {"make", "gmake"}:
            ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, int(signal.SIGTERM))


if __name__ == "__main__":
    main()
