from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from perdure.model import Answer


class SourceSummary(Answer):
    """A source as lists show it."""

    id: str
    type: str = ""
    last_run_id: str | None = None
    last_run_status: str | None = None
    last_run_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Tally(BaseModel):
    """What a sync did to the records of one kind; `faults` are rows that could not be read."""

    model_config = ConfigDict(frozen=True, extra="allow")

    read: int = 0
    written: int = 0
    deleted: int = 0
    unchanged: int = 0
    faults: int = 0


class SourceKind(Tally):
    kind: str
    known_to: datetime | None = None
    done: bool = False


class SourceFile(Answer):
    kind: str
    format: str = ""
    size: int = 0
    lines: int = 0
    uploaded_at: datetime | None = None


class Source(SourceSummary):
    """`syncing` is the run that is under way."""

    config: dict[str, Any] = Field(default_factory=dict[str, Any])
    syncing: str | None = None
    kinds: tuple[SourceKind, ...] = ()
    files: tuple[SourceFile, ...] = ()


class Trouble(Answer):
    code: str = ""
    message: str = ""


class CheckedKind(Answer):
    """How one kind would be read, with its first records as they would be kept."""

    kind: str
    columns: dict[str, str] = Field(default_factory=dict[str, str])
    unused: tuple[str, ...] = ()
    rows: int | None = None
    sample: tuple[dict[str, Any], ...] = ()
    faults: tuple[str, ...] = ()
    error: Trouble | None = None


class CheckedSource(Answer):
    ok: bool
    error: Trouble | None = None
    kinds: tuple[CheckedKind, ...] = ()


class RemovedSource(Answer):
    records: str
    rows: int = 0
