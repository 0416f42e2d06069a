"""A skill in Python that takes its time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow

from workflows import steps


@workflow.defn(name="patient")
class Patient:
    @workflow.run
    async def run(self, inputs: dict[str, Any]) -> str:
        await steps.wait("long", timedelta(hours=1))
        return "late"
