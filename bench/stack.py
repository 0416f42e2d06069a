"""An installation of its own for the measurements, and the hand-written worker beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from bench.handwritten import TASK_QUEUE
from dev import temporal
from dev.home import Home
from services.temporal import connect
from store.sealing import parse_keys
from tests.acceptance.installation import ROOT, Installation


@dataclass(frozen=True)
class Bench:
    client: Client
    url: str
    key: str


@asynccontextmanager
async def open_bench() -> AsyncGenerator[Bench]:
    with (
        tempfile.TemporaryDirectory(prefix="perdure-bench-") as folder,
        Installation(Path(folder) / "home") as installation,
    ):
        installation.start()
        address = f"127.0.0.1:{installation.ports['PERDURE_TEMPORAL_PORT']}"
        keys = Home(installation.home).keys().encryption
        client = await connect(address, "perdure", parse_keys(keys))
        environment = {
            "DATABASE_URL": "postgresql://unused/unused",
            "TEMPORAL_ADDRESS": address,
            "PERDURE_ENCRYPTION_KEYS": keys,
        }
        by_hand = work_by_hand(environment)
        try:
            await temporal.polled(client, TASK_QUEUE, f"{by_hand.pid}@")
            credentials = installation.credentials()
            yield Bench(client, credentials["url"], credentials["workspace_key"])
        finally:
            by_hand.kill()
            by_hand.wait()
            installation.interrupt()


def work_by_hand(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "bench.handwritten"]
    return subprocess.Popen(line, cwd=ROOT, env=os.environ | environment)
