"""Short ways to write flows in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle


def watched(id: str, value: Any = None, *, tool: str = "watched", **more: Any) -> dict[str, Any]:
    """A call of the watched tool; `fail`, `times` and `hold` are its arguments."""
    arguments = {"value": value}
    arguments |= {key: more.pop(key) for key in ("fail", "times", "hold") if key in more}
    return {"kind": "compute", "id": id, "tool": tool, "arguments": arguments, **more}


def flow(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"steps": list(steps), **more}


QUICK = {"attempts": 3, "backoff": "10ms"}


async def batches(run: WorkflowHandle[Any, Any]) -> int:
    """How many its large loops were cut into."""
    started = "start_child_workflow_execution_initiated_event_attributes"
    return sum(event.HasField(started) for event in (await run.fetch_history()).events)
