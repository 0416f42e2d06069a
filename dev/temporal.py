"""Temporal's development server as our own child, with the flags without which it is slow."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from dev.errors import CannotStart
from dev.tether import tethered

if TYPE_CHECKING:
    from collections.abc import Sequence

STOP_SIGNAL = signal.SIGTERM
RETENTION = timedelta(days=30)
SEARCH_ATTRIBUTES = ("PerdureWorkspace", "PerdureSkill", "PerdureStatus", "PerdureTrigger")
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
    """Without what it takes for its own settings; with a limit, as fast at 290 MB as at 400."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    # It does not start for a user without a name, as containers often have.
    return {"USER": "perdure", "HOME": "/"} | kept | {"GOMEMLIMIT": "200MiB"}


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


async def ensure_namespace(client: Client) -> None:
    """At every start: the flags of the server do nothing for namespaces that exist already."""
    keep = Duration()
    keep.FromTimedelta(RETENTION)
    service, name = client.workflow_service, client.namespace
    try:
        await service.register_namespace(
            RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=keep)
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
        config = NamespaceConfig(workflow_execution_retention_ttl=keep)
        await service.update_namespace(UpdateNamespaceRequest(namespace=name, config=config))
    await add_search_attributes(client)


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


async def add_search_attributes(client: Client) -> None:
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=client.namespace,
            search_attributes=dict.fromkeys(SEARCH_ATTRIBUTES, keyword),
        )
    )


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
