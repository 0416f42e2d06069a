"""What an engineer would write without Perdure: as many activities, the same encryption."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from bench.handloop import Asking, HandLoop, demo_url

TASK_QUEUE = "handwritten"


@activity.defn
async def echo(arguments: dict[str, Any]) -> Any:
    return arguments.get("value")


@workflow.defn
class HandWritten:
    @workflow.run
    async def run(self, steps: int, value: Any) -> Any:
        for number in range(steps):
            value = await workflow.execute_activity(
                "echo",
                {"value": value},
                activity_id=f"s{number}",
                start_to_close_timeout=timedelta(minutes=1),
            )
        return value


async def main() -> None:
    """A process of its own, as Perdure's worker is."""
    # Not at the top: the workflow's sandbox imports this module again.
    from services.temporal import connect
    from settings import load

    settings = load()
    client = await connect(settings.temporal_address, settings.temporal_namespace, settings.keys)
    build = WorkerDeploymentVersion(deployment_name="handwritten", build_id="1")
    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[HandWritten, HandLoop],
        activities=[echo, Asking(demo_url()).ask],
        max_concurrent_activities=200,
        deployment_config=WorkerDeploymentConfig(version=build, use_worker_versioning=False),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    finally:
        os._exit(0)
