"""Runs as lists and answers show them; the whole one is `core.run.Run`."""

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from core.run import ENDED, Failure, Run, RunStatus, TokenUsage, Trigger, Waiting
from core.tool import Actor

PREVIEW = 500  # characters


class RunLine(BaseModel):
    """A run as lists show it."""

    model_config = ConfigDict(from_attributes=True)

    run_id: str
    skill: str
    version: str
    status: RunStatus
    trigger: Trigger
    actor: Actor
    label: str | None
    subject_kind: str | None
    subject_id: str | None
    parent: str | None
    lineage: str
    retry_of: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None
    token_usage: TokenUsage
    cost: float | None
    error: Failure | None
    waiting_for: tuple[Waiting, ...]


class RunState(BaseModel):
    """The answer to a start or an action."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"run_id": "hello-k3v5q2m7x4a6b3cd", "status": "queued"}]}
    )

    run_id: str
    status: RunStatus

    @classmethod
    def of(cls, run: Run) -> "RunState":
        return cls(run_id=run.run_id, status=run.status)


class RunResult(RunState):
    """The answer to a start that was waited for, once the run ended in time."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "run_id": "hello-k3v5q2m7x4a6b3cd",
                    "status": "succeeded",
                    "duration_ms": 46,
                    "output_preview": "Hello, Ada!",
                    "output": "Hello, Ada!",
                    "error": None,
                }
            ]
        }
    )

    duration_ms: int | None
    output_preview: str
    output: Any
    error: Failure | None

    @classmethod
    def of(cls, run: Run) -> "RunResult":
        return cls(
            run_id=run.run_id,
            status=run.status,
            duration_ms=run.duration_ms,
            output_preview=preview(run.output),
            output=run.output,
            error=run.error,
        )


def has_ended(run: Run) -> bool:
    return run.status in ENDED


def preview(output: Any) -> str:
    if output is None:
        return ""
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    return text if len(text) <= PREVIEW else f"{text[: PREVIEW - 1]}…"
