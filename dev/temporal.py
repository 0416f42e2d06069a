"""Temporal's development server as our own child, with the flags without which it is slow."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
)
from temporalio.client import Client
from temporalio.service import RPCError

from dev.errors import CannotStart
from dev.tether import tethered

if TYPE_CHECKING:
    from collections.abc import Sequence

STOP_SIGNAL = signal.SIGTERM
DYNAMIC_CONFIG = (
    # One shard polled 20 times a second (the default) makes every dispatch wait 40 ms.
    "history.transferProcessorMaxPollRPS=1000",
    "history.timerProcessorMaxPollRPS=1000",
    "history.visibilityProcessorMaxPollRPS=1000",
    "matching.enableFairness=true",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)
WORTH_A_VACUUM = 64 << 20  # bytes
LOOK_EVERY = 0.02  # seconds


def binary() -> str:
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise CannotStart(
            "Temporal is not installed here: run `make setup`, or set TEMPORAL_ADDRESS"
        )
    return found


def environment() -> dict[str, str]:
    """Without what it takes for its own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    # It does not start for a user without a name, as containers often have.
    # Far above what it holds: close to the limit it would do little but collect garbage.
    return {"USER": "perdure", "HOME": "/"} | kept | {"GOMEMLIMIT": "1GiB"}


def persistent_command(database: Path, port: int, ui_port: int, codec_endpoint: str) -> list[str]:
    line = [*_server(port), "--ui-port", str(ui_port), "--db-filename", str(database)]
    line += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"]
    line += ["--ui-codec-endpoint", codec_endpoint]
    if _knows("--ui-disable-news-fetch"):
        line.append("--ui-disable-news-fetch")
    return tethered(_configured(line, DYNAMIC_CONFIG), STOP_SIGNAL)


def passing_command(port: int) -> list[str]:
    """In memory, without a user interface, and able to skip time."""
    line = [*_server(port), "--headless"]
    skipping = "frontend.WorkflowTimeSkippingEnabled=true"
    return tethered(_configured(line, (*DYNAMIC_CONFIG, skipping)), STOP_SIGNAL)


def compact(database: Path) -> None:
    """The server never gives space back; only while it does not run."""
    if not database.exists():
        return
    connection = sqlite3.connect(database)
    try:
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        if free * size > WORTH_A_VACUUM:
            connection.execute("VACUUM")
    except sqlite3.DatabaseError as error:
        raise CannotStart(
            f"{database} cannot be read ({error}): restore it, or set PERDURE_HOME to a new "
            "directory"
        ) from error
    finally:
        connection.close()


async def connect(address: str, namespace: str) -> Client:
    """Waits for the server for as long as the caller does."""
    while True:
        try:
            return await Client.connect(address, namespace=namespace)
        except (RuntimeError, RPCError):
            await asyncio.sleep(LOOK_EVERY)


async def polled(client: Client, task_queue: str, identity: str) -> None:
    """Waits until a worker whose identity begins so asks for work."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    while True:
        try:
            found = await client.workflow_service.describe_task_queue(request)
        except RPCError:
            found = DescribeTaskQueueResponse()
        if any(poller.identity.startswith(identity) for poller in found.pollers):
            return
        await asyncio.sleep(LOOK_EVERY)


def _server(port: int) -> list[str]:
    return [binary(), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port)]


def _configured(line: list[str], settings: Sequence[str]) -> list[str]:
    return [*line, *(part for setting in settings for part in ("--dynamic-config-value", setting))]


@cache
def _knows(flag: str) -> bool:
    shown = subprocess.run(
        [binary(), "server", "start-dev", "--help"], capture_output=True, text=True, check=False
    )
    return flag in shown.stdout
