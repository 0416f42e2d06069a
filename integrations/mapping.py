"""Rows with columns become records, and what is wrong with a row is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from core.crm import (
    ID,
    Account,
    Activity,
    Contact,
    Conversation,
    Deal,
    Kind,
    Outcome,
    Owner,
    Pipeline,
    Quota,
    Record,
    Stage,
)
from core.crm_fields import FIELDS, REQUIRED, Shape
from core.errors import SourceRejected
from core.faults import near, quoted
from integrations.cells import in_cents

if TYPE_CHECKING:
    from core.connector import Columns
    from integrations.cells import Cells

TYPES: dict[Kind, Callable[..., Record]] = {
    "owners": Owner,
    "accounts": Account,
    "contacts": Contact,
    "deals": Deal,
    "activities": Activity,
    "conversations": Conversation,
    "quotas": Quota,
    "pipelines": Pipeline,
}
DIRECTIONS = {"inbound": "in", "incoming": "in", "outbound": "out", "outgoing": "out"}
HUNDRED = Decimal(100)
MOST_COLUMNS = 5_000
UNSIGNED = re.compile(r"[^a-z0-9]+")
# Where a source has no rows of its own for them, deals name them.
NAMED_BY_DEALS: dict[Kind, tuple[str, ...]] = {
    "owners": ("owner",),
    "pipelines": ("pipeline", "stage"),
    "accounts": ("account",),
}


class BadRow(Exception):
    """One sentence: which columns, and what was expected of each."""


class Mapped:
    """Which column holds which field of a kind; raises SourceRejected where one cannot be found."""

    def __init__(self, kind: Kind, options: Columns, header: Collection[str], cells: Cells) -> None:
        if len(header) > MOST_COLUMNS:
            raise SourceRejected(f"{kind}: more than {MOST_COLUMNS:,} columns")
        self.kind: Kind = kind
        self.columns = _columns(kind, options, header)
        used = set(self.columns.values())
        self.unused = tuple(name for name in header if name not in used)
        self._cells = cells
        self._fields: list[tuple[str, str, Shape]] = [
            (field, column, FIELDS[kind][field].shape) for field, column in self.columns.items()
        ]

    def fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Values by field, without those that are empty. Raises BadRow."""
        read: dict[str, Any] = {}
        faults: list[str] = []
        for field, column, shape in self._fields:
            try:
                value = self._cells.read(shape, row.get(column))
            except ValueError as error:
                faults.append(f"column `{column}`: {error}")
                continue
            if value is not None:
                read[field] = value
        faults += [
            f"column `{self.columns[field]}`: empty, and `{field}` is needed"
            for field in REQUIRED[self.kind]
            if field not in read and not faults and not read.get("deleted")
        ]
        if "id" in self.columns and "id" not in read and not faults:
            faults.append(f"column `{self.columns['id']}`: empty, and `id` is needed")
        if faults:
            raise BadRow("; ".join(faults))
        return read

    def record(self, row: Mapping[str, Any], known_at: datetime) -> Record:
        """`known_at` is its time where the row does not say one. Raises BadRow."""
        read = {"modified_at": known_at, **self.fields(row)}
        return self.validated(TYPES[self.kind], _shaped(self.kind, read))

    def validated(self, make: Callable[..., Record], read: dict[str, Any]) -> Record:
        try:
            return make(**read)
        except ValidationError as error:
            raise BadRow("; ".join(self._told(fault) for fault in error.errors())) from None

    def _told(self, fault: Mapping[str, Any]) -> str:
        place = str(fault["loc"][0]) if fault["loc"] else ""
        column = self.columns.get(place)
        return f"column `{column}`: {fault['msg']}" if column else f"{place}: {fault['msg']}"


def _columns(kind: Kind, options: Columns, header: Collection[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    known = {_bare(name): name for name in reversed(list(header))}
    for field, meaning in FIELDS[kind].items():
        stated = options.columns.get(field)
        if stated is not None:
            if stated not in header:
                raise SourceRejected(
                    f"{kind}: there is no column `{stated}` for `{field}`{near(stated, header)}"
                )
            columns[field] = stated
            continue
        guessed = (known.get(_bare(name)) for name in (field, *meaning.also))
        column = next((name for name in guessed if name), None)
        if column is not None:
            columns[field] = column
    for field in REQUIRED[kind]:
        if field not in columns:
            raise SourceRejected(
                f"{kind}: no column for `{field}`: name it under `columns`; there is "
                + ", ".join(f"`{name}`" for name in list(header)[:30])
            )
    return columns


def _bare(name: str) -> str:
    return UNSIGNED.sub("", name.lower())


def _shaped(kind: Kind, read: dict[str, Any]) -> dict[str, Any]:
    """What fields hold that columns cannot."""
    if "amount" in read:
        read["amount"] = in_cents(read["amount"])
    match kind:
        case "deals":
            since = read.pop("stage_since", None)
            if since is not None and "stage" in read and "changes" not in read:
                read["changes"] = ({"field": "stage", "at": since, "value": read["stage"]},)
            if "contacts" in read:
                read["contacts"] = tuple(
                    each if isinstance(each, dict) else {"contact": each}
                    for each in read["contacts"]
                )
        case "activities" | "conversations":
            if "type" in read:
                read["type"] = read["type"].lower()
            direction = read.get("direction")
            if direction:
                read["direction"] = DIRECTIONS.get(direction.lower(), direction.lower())
        case "quotas":
            named = (read.get("owner"), read.get("pipeline"), read.get("starts_on"))
            read.setdefault("id", "/".join(str(each or "all") for each in named))
        case _:
            pass
    return read


def pipelines(
    mapped: Mapped,
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    outcomes: Mapping[str, Outcome],
    known_at: datetime,
    faults: list[str],
) -> list[Record]:
    """One of each pipeline's stages a row; a row is named where it is at fault."""
    told: dict[str, dict[str, Any]] = {}
    stages: dict[str, dict[str, Stage]] = {}
    for place, row in rows:
        try:
            read = mapped.fields(row)
            stage = mapped.validated(Stage, _stage(read, len(stages.get(read["id"], {})), outcomes))  # pyright: ignore[reportArgumentType]
        except BadRow as bad:
            faults.append(f"{place}: {bad}")
            continue
        at = read.get("modified_at", known_at)
        fresh = {"id": read["id"], "position": len(told), "modified_at": at}
        of = told.setdefault(read["id"], fresh)
        of["name"] = read.get("name", read["id"])
        of["modified_at"] = max(of["modified_at"], at)
        stages.setdefault(read["id"], {})[read["stage"]] = stage  # pyright: ignore[reportArgumentType]
    made: list[Record] = []
    for id, of in told.items():
        try:
            read = {**of, "stages": tuple(stages[id].values())}
            made.append(mapped.validated(TYPES["pipelines"], read))
        except BadRow as bad:
            faults.append(f"the pipeline {quoted(id)}: {bad}")
    return made


def _stage(
    read: Mapping[str, Any], position: int, outcomes: Mapping[str, Outcome]
) -> dict[str, Any]:
    name = read.get("stage_name", read["stage"])
    probability = read.get("probability")
    if probability is not None and probability > 1:
        probability /= HUNDRED
    told = str(read.get("outcome", "")).lower()
    return {
        "id": read["stage"],
        "name": name,
        "position": read.get("position", position),
        "probability": probability,
        "outcome": outcomes.get(name) or told or outcome_of(name),
    }


def named_by_deals(
    kind: Kind,
    named: Iterable[tuple[str | None, ...]],
    outcomes: Mapping[str, Outcome],
    known_at: datetime,
) -> list[Record]:
    """Each once, in the order in which deals name them; a deal is told where its name is no id."""
    once = dict.fromkeys(tuple(_id(name) for name in each) for each in named)
    if kind == "pipelines":
        stages: dict[str, list[Stage]] = {}
        for pipeline, stage in once:
            if stage is not None:
                of = stages.setdefault(pipeline or "default", [])
                outcome = outcomes.get(stage) or outcome_of(stage)
                of.append(Stage(id=stage, name=stage, position=len(of), outcome=outcome))
        return [
            Pipeline(id=id, name=id, position=place, stages=tuple(of), modified_at=known_at)
            for place, (id, of) in enumerate(stages.items())
        ]
    make = Owner if kind == "owners" else Account
    return [make(id=id, name=id, modified_at=known_at) for (id,) in once if id]


def _id(name: str | None) -> str | None:
    try:
        return None if name is None else ID.validate_python(name)
    except ValidationError:
        return None


def outcome_of(stage: str) -> Outcome:
    """By its name: `Closed Won`, `won`, `closedlost`, `Lost - price`."""
    bare = _bare(stage).removeprefix("closed")
    if bare.startswith("won"):
        return "won"
    return "lost" if bare.startswith("lost") else "open"
