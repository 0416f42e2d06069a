"""The whole tree of commands."""

from __future__ import annotations

from perdure.command import (
    doctor,
    events,
    keys,
    llm,
    processes,
    report,
    run,
    runs,
    secrets,
    skills,
    sources,
    webhooks,
    workspaces,
)
from perdure.command.root import root

__all__ = [
    "doctor",
    "events",
    "keys",
    "llm",
    "processes",
    "report",
    "root",
    "run",
    "runs",
    "secrets",
    "skills",
    "sources",
    "webhooks",
    "workspaces",
]
