"""What a sync is asked, how far it came, and what came of it."""

from datetime import datetime
from typing import Any

from pydantic import Field

from core.crm import Kind
from core.model import Frozen
from core.run import Workspace
from core.tool import RunContext

SYNC = "perdure.sync"  # the workflow, and the `skill` of its runs
PLAN = "sync.plan"
READ = "sync.read"
ANNOUNCE = "sync.announce"
SYNC_COMPLETED = "sync_completed"
MOST_FAULTS = 100


class Tally(Frozen):
    """Of one kind: `read` records, and what they did to the rows; `faults` could not be read."""

    read: int = 0
    written: int = 0
    deleted: int = 0
    unchanged: int = 0
    faults: int = 0


class Reading(Frozen):
    """How far a pass over a kind came; `since` None reads all there is."""

    kind: Kind
    tally: Tally = Tally()
    since: datetime | None = None
    is_done: bool = False
    faults: tuple[str, ...] = ()


class Progress(Frozen):
    """Goes on in the next part of a run whose history grew long. `slices` are of the kind that is
    read now."""

    kinds: tuple[Kind, ...]
    done: tuple[Reading, ...] = ()
    slices: int = 0


class SyncInput(Frozen):
    """`full` reads all there is, not only what changed."""

    source: str
    full: bool = False
    announce: bool = True
    progress: Progress | None = None


class PlanRequest(Frozen):
    context: RunContext
    workspace: Workspace
    source: str
    full: bool = False


class ReadRequest(Frozen):
    context: RunContext
    workspace: Workspace
    source: str
    kind: Kind


class SyncPlan(Frozen):
    """The kinds to read, in their order."""

    kinds: tuple[Kind, ...]


class SyncResult(Frozen):
    """`records` are those that changed here; `since` is None where a kind was read whole."""

    source: str
    records: int = 0
    by_type: dict[Kind, Tally] = Field(default_factory=dict[Kind, Tally])
    since: datetime | None = None
    faults: tuple[str, ...] = ()

    @classmethod
    def of(cls, source: str, done: tuple[Reading, ...]) -> "SyncResult":
        since = [reading.since for reading in done]
        known = [each for each in since if each is not None]
        faults = [fault for reading in done for fault in reading.faults]
        return cls(
            source=source,
            records=sum(each.tally.written + each.tally.deleted for each in done),
            by_type={each.kind: each.tally for each in done},
            since=min(known) if known and len(known) == len(since) else None,
            faults=tuple(faults[:MOST_FAULTS]),
        )


class AnnounceRequest(Frozen):
    context: RunContext
    data: dict[str, Any]
