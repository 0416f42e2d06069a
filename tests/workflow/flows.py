"""Short ways to write flows in tests."""

from __future__ import annotations

from typing import Any


def watched(id: str, value: Any = None, *, tool: str = "watched", **more: Any) -> dict[str, Any]:
    """A call of the watched tool; `fail`, `times` and `hold` are its arguments."""
    arguments = {"value": value}
    arguments |= {key: more.pop(key) for key in ("fail", "times", "hold") if key in more}
    return {"kind": "compute", "id": id, "tool": tool, "arguments": arguments, **more}


def flow(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"steps": list(steps), **more}


QUICK = {"attempts": 3, "backoff": "10ms"}
