"""The state of an account of HubSpot, with its past: what each record was, and when."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

ENGAGEMENTS = ("calls", "emails", "meetings", "notes", "tasks")
KINDS = ("companies", "contacts", "deals", *ENGAGEMENTS)
OF_ALL = frozenset({"hs_object_id", "createdate", "hubspot_owner_id", "hs_merged_object_ids"})
PROPERTIES: dict[str, frozenset[str]] = {
    "companies": OF_ALL
    | {"hs_lastmodifieddate", "name", "domain", "industry", "numberofemployees", "tier"},
    "contacts": OF_ALL
    | {"lastmodifieddate", "firstname", "lastname", "email", "jobtitle", "associatedcompanyid"},
    "deals": OF_ALL
    | {"hs_lastmodifieddate", "dealname", "pipeline", "dealstage", "amount", "deal_currency_code"}
    | {"closedate", "hs_manual_forecast_category", "hs_next_step", "closed_lost_reason"}
    | {"num_associated_contacts", "hs_primary_associated_company"},
    "calls": OF_ALL
    | {"hs_lastmodifieddate", "hs_timestamp", "hs_call_title", "hs_call_body"}
    | {"hs_call_direction", "hs_call_disposition"},
    "emails": OF_ALL
    | {"hs_lastmodifieddate", "hs_timestamp", "hs_email_subject", "hs_email_text"}
    | {"hs_email_html", "hs_email_direction", "hs_email_status"},
    "meetings": OF_ALL
    | {"hs_lastmodifieddate", "hs_timestamp", "hs_meeting_title", "hs_meeting_body"}
    | {"hs_meeting_start_time", "hs_meeting_outcome"},
    "notes": OF_ALL | {"hs_lastmodifieddate", "hs_timestamp", "hs_note_body"},
    "tasks": OF_ALL
    | {"hs_lastmodifieddate", "hs_timestamp", "hs_task_subject", "hs_task_body"}
    | {"hs_task_status", "hs_task_completion_date"},
}
PRIMARY = ("HUBSPOT_DEFINED", 5, "Primary")
PLAIN = ("HUBSPOT_DEFINED", 3, None)
Label = tuple[str, int, str | None]
Properties = dict[str, str | None]


def modified_property(kind: str) -> str:
    return "lastmodifieddate" if kind == "contacts" else "hs_lastmodifieddate"


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Version:
    at: datetime
    properties: Properties
    archived: bool = False


@dataclass
class Thing:
    kind: str
    id: str
    created: datetime
    versions: list[Version]
    updated: datetime
    archived_at: datetime | None = None
    merged: bool = False
    # Newest first, as HubSpot tells it.
    history: defaultdict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @property
    def properties(self) -> Properties:
        return self.versions[-1].properties

    @property
    def lives(self) -> bool:
        return self.archived_at is None and not self.merged

    def as_of(self, moment: datetime) -> Version | None:
        """What an index that has seen all up to this moment knows of it."""
        return next((each for each in reversed(self.versions) if each.at <= moment), None)


class CRM:
    def __init__(self) -> None:
        self.things: dict[str, dict[str, Thing]] = {kind: {} for kind in KINDS}
        self.owners: dict[str, dict[str, Any]] = {}
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.links: dict[tuple[str, str], dict[str, dict[str, set[Label]]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        self.portal: dict[str, Any] = {
            "portalId": 4711,
            "accountType": "STANDARD",
            "timeZone": "America/New_York",
            "companyCurrency": "USD",
            "additionalCurrencies": [],
            "utcOffset": "-05:00",
            "utcOffsetMilliseconds": -18000000,
            "uiDomain": "app-eu1.hubspot.com",
            "dataHostingLocation": "eu1",
        }
        self._ids = count(101)
        self._frozen: datetime | None = None
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        now = self._frozen or datetime.now(UTC) + self.ahead
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def stand_still(self, at: datetime | None) -> None:
        """All that happens from now on bears this time, as in one bulk edit; None goes on."""
        self._frozen = at

    def of(self, kind: str, *, living: bool = True) -> list[Thing]:
        return [each for each in self.things[kind].values() if each.lives is living]

    def create(self, kind: str, at: datetime | None = None, **properties: Any) -> Thing:
        at, id = at or self.now(), str(next(self._ids))
        version = Version(at, {"hs_object_id": id, "createdate": iso(at)})
        thing = Thing(kind, id, at, [version], at)
        self.things[kind][id] = thing
        self._set(thing, at, {name: _text(value) for name, value in properties.items()})
        return thing

    def update(self, thing: Thing, at: datetime | None = None, **properties: Any) -> None:
        at = at or self.now()
        at = max(at, thing.updated)
        changed = {name: _text(value) for name, value in properties.items()}
        thing.versions.append(Version(at, dict(thing.properties)))
        self._set(thing, at, changed)

    def _set(self, thing: Thing, at: datetime, properties: Properties) -> None:
        unknown = properties.keys() - PROPERTIES[thing.kind]
        assert not unknown, f"{thing.kind} have no {unknown}"
        for name, value in properties.items():
            if thing.properties.get(name) != value:
                thing.history[name].insert(
                    0, {"value": value or "", "timestamp": iso(at), "sourceType": "CRM_UI"}
                )
        thing.properties.update(properties)
        thing.updated = at
        thing.properties[modified_property(thing.kind)] = iso(at)

    def archive(self, thing: Thing) -> None:
        """`hs_lastmodifieddate` stays as it was; only `archivedAt` tells."""
        thing.archived_at = max(self.now(), thing.updated)
        thing.versions.append(Version(thing.archived_at, dict(thing.properties), archived=True))
        self._unlink_all(thing)

    def merge(self, kept: Thing, gone: Thing) -> None:
        gone.merged = True
        gone.versions.append(Version(self.now(), dict(gone.properties), archived=True))
        self._unlink_all(gone)
        known = [each.properties.get("hs_merged_object_ids") for each in (kept, gone)]
        self.update(kept, hs_merged_object_ids=";".join(filter(None, [*known, gone.id])))

    def link(self, one: Thing, other: Thing, *labels: Label) -> None:
        self.links[one.kind, other.kind][one.id][other.id] = set(labels or {PLAIN})
        self.links[other.kind, one.kind][other.id][one.id] = set(labels or {PLAIN})
        self._roll_up(one, other)

    def unlink(self, one: Thing, other: Thing) -> None:
        self.links[one.kind, other.kind][one.id].pop(other.id, None)
        self.links[other.kind, one.kind][other.id].pop(one.id, None)
        self._roll_up(one, other)

    def linked(self, kind: str, id: str, other: str) -> dict[str, set[Label]]:
        return self.links[kind, other].get(id, {})

    def _unlink_all(self, thing: Thing) -> None:
        for kind in KINDS:
            for id in list(self.linked(thing.kind, thing.id, kind)):
                self.unlink(thing, self.things[kind][id])

    def _roll_up(self, *things: Thing) -> None:
        """Deals count their contacts and name their company: a link changes them too.

        Activities do not: what they are linked to changes without their knowing.
        """
        kinds = {thing.kind for thing in things}
        for deal in things:
            if deal.kind == "deals" and deal.lives and kinds & {"contacts", "companies"}:
                companies = self.linked("deals", deal.id, "companies")
                primary = next((id for id, of in companies.items() if PRIMARY in of), None)
                self.update(
                    deal,
                    num_associated_contacts=len(self.linked("deals", deal.id, "contacts")),
                    hs_primary_associated_company=primary,
                )


def _text(value: Any) -> str | None:
    match value:
        case None | str():
            return value
        case datetime():
            return iso(value)
        case _:
            return str(value)
