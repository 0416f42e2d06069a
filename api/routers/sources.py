from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict

from api.auth import CanManage, CanRead, CanRun, Services
from api.bodies import Asked, StrictRoute, refuse_size
from api.errors import REFUSED
from api.pages import Cursor, Limit, Page
from api.runs import RunState
from api.words import Form
from core.connector import SourceConfig
from core.crm import Kind
from core.run import RunStatus
from services.sources import (
    Checked,
    KindCheck,
    Pass,
    Shown,
    SourceRow,
    StoredFile,
    SyncRequest,
    Trouble,
    by,
)

MAX_FILE = 1024 * 1024 * 1024
router = APIRouter(
    prefix="/api/workspaces/{ws}/sources",
    tags=["sources"],
    route_class=StrictRoute,
    responses=REFUSED,
)

Source = Annotated[str, Path(description="the source's id", examples=["hubspot"])]
KindName = Annotated[Kind, Path(description="what the rows of the file are")]
SourceId = Annotated[
    str,
    Form(
        r"^[a-z][a-z0-9-]{0,39}$",
        "up to 40 small letters, digits and hyphens that begin with a letter, such as `crm-files`",
    ),
]
FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string"}} for kind in ("text/csv", "application/x-ndjson")
        },
    }
}


class NewSource(Asked):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": "crm-files", "config": {"type": "files"}}]}
    )

    id: SourceId
    config: SourceConfig


class SourceChange(Asked):
    """The whole of it: what is left out is as if it had never been said."""

    config: SourceConfig


class Sync(Asked):
    full: bool = False
    announce: bool = True


class SourceLine(BaseModel):
    id: str
    type: str
    last_run_id: str | None
    last_run_status: RunStatus | None
    last_run_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: SourceRow) -> "SourceLine":
        return cls(
            id=row.id,
            type=row.config.type,
            last_run_id=row.sync_run,
            last_run_status=row.sync_status,
            last_run_at=row.claimed_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class SourceKind(BaseModel):
    """What the last sync did to the records of one kind."""

    kind: Kind
    known_to: datetime | None
    done: bool
    read: int
    written: int
    deleted: int
    unchanged: int
    faults: int

    @classmethod
    def of(cls, each: Pass) -> "SourceKind":
        return cls(
            kind=each.kind,
            known_to=each.known_to,
            done=each.phase == "done",
            **each.tally.model_dump(),
        )


class SourceFile(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    kind: Kind
    format: Literal["csv", "jsonl"]
    size: int
    lines: int
    uploaded_at: datetime

    @classmethod
    def of(cls, file: StoredFile) -> "SourceFile":
        return cls.model_validate(file)


class SourcePage(SourceLine):
    config: SourceConfig
    syncing: str | None
    kinds: list[SourceKind]
    files: list[SourceFile]

    @classmethod
    def whole(cls, shown: Shown) -> "SourcePage":
        return cls(
            **SourceLine.of(shown.row).model_dump(),
            config=shown.row.config,
            syncing=shown.syncing,
            kinds=[SourceKind.of(each) for each in shown.passes],
            files=[SourceFile.of(file) for file in shown.files],
        )


class CheckedKind(BaseModel):
    kind: Kind
    columns: dict[str, str]
    unused: tuple[str, ...]
    rows: int | None
    sample: list[dict[str, Any]]
    faults: tuple[str, ...]
    error: Trouble | None

    @classmethod
    def of(cls, each: KindCheck) -> "CheckedKind":
        return cls(
            kind=each.kind,
            **each.preview.model_dump(),
            sample=[_told(record) for record in each.sample],
            faults=each.faults,
            error=each.error,
        )


class SourceCheck(BaseModel):
    ok: bool
    error: Trouble | None
    kinds: list[CheckedKind]

    @classmethod
    def of(cls, checked: Checked) -> "SourceCheck":
        kinds = [CheckedKind.of(each) for each in checked.kinds]
        return cls(ok=checked.ok, error=checked.error, kinds=kinds)


class Removed(BaseModel):
    records: Literal["kept", "deleted"]
    rows: int


@router.post("", status_code=201)
async def create_source(body: NewSource, visit: CanManage, services: Services) -> SourcePage:
    """Set up where business data comes from. Nothing is read before its first sync."""
    made = await services.sources.create(visit.workspace.id, body.id, body.config)
    return SourcePage.whole(made)


@router.get("")
async def list_sources(
    visit: CanRead, services: Services, limit: Limit = 50, cursor: Cursor = None
) -> Page[SourceLine]:
    """The sources of a workspace."""
    page = await services.sources.list_page(visit.workspace.id, limit, cursor)
    return Page(items=[SourceLine.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{source}")
async def get_source(source: Source, visit: CanRead, services: Services) -> SourcePage:
    """How it is set up, and what its last sync did."""
    return SourcePage.whole(await services.sources.get(visit.workspace.id, source))


@router.patch("/{source}")
async def change_source(
    source: Source, body: SourceChange, visit: CanManage, services: Services
) -> SourcePage:
    """Set it up another way. The next sync reads all there is; 409 while one is under way."""
    changed = await services.sources.change(visit.workspace.id, source, body.config)
    return SourcePage.whole(changed)


@router.delete("/{source}")
async def remove_source(
    source: Source,
    visit: CanManage,
    services: Services,
    records: Annotated[
        Literal["keep", "delete"],
        Query(description="what becomes of the records that came from it"),
    ] = "keep",
) -> Removed:
    """Remove a source and its uploaded files; 409 while a sync is under way."""
    gone = await services.sources.remove(visit.workspace.id, source, records)
    return Removed(records="deleted" if records == "delete" else "kept", rows=gone)


@router.put("/{source}/files/{kind}", openapi_extra=FILE)
async def upload_file(
    source: Source,
    kind: KindName,
    visit: CanManage,
    services: Services,
    request: Request,
    format: Annotated[
        Literal["csv", "jsonl"] | None, Query(description="without it, the file shows it")
    ] = None,
    encoding: Annotated[
        str | None,
        Query(max_length=40, description="`utf-8` if not said, or as the file's own mark says"),
    ] = None,
) -> SourceFile:
    """Upload a file of records as the body, CSV with a header or JSONL; the next sync reads it.

    It takes the place of the file of this kind before it.
    """
    data = _bounded(request)
    stored = await services.sources.upload(
        visit.workspace.id, source, kind, data, encoding=encoding, format=format
    )
    return SourceFile.of(stored)


@router.post("/{source}/check")
async def check_source(source: Source, visit: CanManage, services: Services) -> SourceCheck:
    """Open it and show the first records of each kind as a sync would keep them; keeps nothing."""
    return SourceCheck.of(await services.sources.check(visit.workspace, source))


@router.post("/{source}/sync", tags=["runs"], status_code=202)
async def sync_source(
    source: Source, visit: CanRun, services: Services, body: Sync | None = None
) -> RunState:
    """Bring here what has changed. While a sync is under way, the answer is that one's run."""
    asked = SyncRequest.model_validate((body or Sync()).model_dump())
    run = await services.sources.sync(visit.workspace, source, asked, by(visit.access))
    return RunState.of(run)


async def _bounded(request: Request) -> AsyncIterator[bytes]:
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > MAX_FILE:
        refuse_size(MAX_FILE)
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_FILE:
            refuse_size(MAX_FILE)
        yield piece


def _told(record: BaseModel) -> dict[str, Any]:
    """What was found of it; the rest is as if it were not there."""
    return record.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
