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

import psutil
from temporalio.client import Client

from bench.handwritten import TASK_QUEUE
from dev import temporal
from dev.home import Home
from services.temporal import connect
from store.sealing import parse_keys
from tests.acceptance.installation import ROOT, Installation


@dataclass(frozen=True)
class Memory:
    """The two workers, by pid."""

    ours: int
    by_hand: int

    def of(self, pid: int) -> float:
        return psutil.Process(pid).memory_info().rss / 2**20


@dataclass(frozen=True)
class Bench:
    client: Client
    url: str
    key: str
    demo_url: str
    memory: Memory
    postgres: Path


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
            "BENCH_DEMO_URL": demo_url(installation.home),
        }
        by_hand = work_by_hand(environment)
        try:
            await temporal.polled(client, TASK_QUEUE, f"{by_hand.pid}@")
            credentials = installation.credentials()
            yield Bench(
                client,
                credentials["url"],
                credentials["workspace_key"],
                environment["BENCH_DEMO_URL"],
                Memory(installation.pid("worker"), by_hand.pid),
                Home(installation.home).postgres,
            )
        finally:
            by_hand.kill()
            by_hand.wait()
            installation.interrupt()


def work_by_hand(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "bench.handwritten"]
    return subprocess.Popen(line, cwd=ROOT, env=os.environ | environment)


def demo_url(home: Path) -> str:
    """Where the stack's own demo model listens."""
    for line in (home / "environment").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "PERDURE_DEMO_URL":
            return value.strip("'")
    raise LookupError("the stack has no demo model: a provider's key is set")
