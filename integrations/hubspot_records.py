"""HubSpot's objects as records of business data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from core.crm import (
    Account,
    Activity,
    Change,
    ChangedField,
    Contact,
    Deal,
    DealContact,
    Outcome,
    Owner,
    Pipeline,
    Stage,
)
from integrations.hubspot_fields import NAME, Fields, Notes, day, dicts, moment, money, storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from integrations.hubspot_api import Json

ActivityType = Literal["call", "email", "meeting", "note", "task"]
# Emails come first: they need a scope of their own, and who checks a source reads its first pages.
ACTIVITIES: dict[str, ActivityType] = {
    "emails": "email",
    "calls": "call",
    "meetings": "meeting",
    "notes": "note",
    "tasks": "task",
}
MODIFIED = {"contacts": "lastmodifieddate"}  # all others: hs_lastmodifieddate
PROPERTIES: dict[str, tuple[str, ...]] = {
    "companies": (
        "name",
        "domain",
        "industry",
        "numberofemployees",
        "hubspot_owner_id",
        "hs_merged_object_ids",
    ),
    "contacts": (
        "firstname",
        "lastname",
        "email",
        "jobtitle",
        "associatedcompanyid",
        "hubspot_owner_id",
        "hs_merged_object_ids",
    ),
    "deals": (
        "dealname",
        "pipeline",
        "dealstage",
        "amount",
        "deal_currency_code",
        "closedate",
        "hubspot_owner_id",
        "hs_manual_forecast_category",
        "hs_next_step",
        "closed_lost_reason",
        "hs_merged_object_ids",
    ),
    "calls": ("hs_call_title", "hs_call_body", "hs_call_direction", "hs_call_disposition"),
    "emails": (
        "hs_email_subject",
        "hs_email_text",
        "hs_email_html",
        "hs_email_direction",
        "hs_email_status",
    ),
    "meetings": (
        "hs_meeting_title",
        "hs_meeting_body",
        "hs_meeting_start_time",
        "hs_meeting_outcome",
    ),
    "notes": ("hs_note_body",),
    "tasks": ("hs_task_subject", "hs_task_body", "hs_task_status", "hs_task_completion_date"),
}
HISTORY: dict[str, ChangedField] = {
    "dealstage": "stage",
    "amount": "amount",
    "closedate": "close_date",
    "hubspot_owner_id": "owner",
    "hs_manual_forecast_category": "forecast_category",
}
DIRECTIONS: dict[str, Literal["in", "out"]] = {
    "INBOUND": "in",
    "OUTBOUND": "out",
    "INCOMING_EMAIL": "in",
    "EMAIL": "out",
    "FORWARDED_EMAIL": "out",
}
# What an account calls its own outcomes of calls is not told; these come with every account.
DISPOSITIONS = {
    "9d9162e7-6cf3-4944-bf63-4dff82258764": "busy",
    "f240bbac-87c9-4f6e-bf70-924b57d47db7": "connected",
    "a4c4c377-d246-4b32-a13b-75a56a4cd0ff": "left live message",
    "b2cf5968-551e-4856-9783-52b3da59a7d0": "left voicemail",
    "73a0d17f-1163-4015-bdd5-ec830791da20": "no answer",
    "17b47fee-58de-441e-a44c-c6300d46f273": "wrong number",
}
OBJECT_TYPES = {"contacts": "0-1", "companies": "0-2", "deals": "0-3"}


def properties_of(kind: str) -> tuple[str, ...]:
    of_activities = ("hs_timestamp", "hubspot_owner_id") if kind in ACTIVITIES else ()
    return (*PROPERTIES[kind], *of_activities, modified_property(kind))


def modified_property(kind: str) -> str:
    return MODIFIED.get(kind, "hs_lastmodifieddate")


UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class Portal:
    """The account behind the token, as far as it tells of itself."""

    id: str | None = None
    domain: str = "app.hubspot.com"
    zone: ZoneInfo = UTC
    currency: str | None = None

    def link(self, kind: str, id: str) -> str | None:
        if self.id is None:
            return None
        return f"https://{self.domain}/contacts/{self.id}/record/{OBJECT_TYPES[kind]}/{id}"


def owner(found: Json, notes: Notes) -> Owner | None:
    fields = Fields("owners", {**found, "properties": found}, notes)
    modified = modified_at(fields, "owners")
    if modified is None:
        return None
    teams = dicts(found.get("teams"))
    main = next((team for team in teams if team.get("primary")), teams[0] if teams else {})
    email = fields.text("email")
    return Owner(
        id=fields.id,
        modified_at=modified,
        name=_joined(fields.text("firstName"), fields.text("lastName")) or email or "",
        email=email,
        team=storable(str(main["name"]))[:NAME] if main.get("name") else None,
        active=not found.get("archived"),
    )


def pipeline(found: Json, notes: Notes) -> Pipeline | None:
    fields = Fields("pipelines", {**found, "properties": found}, notes)
    modified = modified_at(fields, "pipelines")
    if modified is None:
        return None
    stages = [each for each in dicts(found.get("stages")) if not each.get("archived")]
    return Pipeline(
        id=fields.id,
        modified_at=modified,
        name=fields.text("label") or "",
        position=fields.integer("displayOrder") or 0,
        stages=tuple(_stage(each, notes) for each in stages if each.get("id")),
    )


def _stage(found: Json, notes: Notes) -> Stage:
    metadata: Json = next(iter(dicts([found.get("metadata")])), {})
    fields = Fields("stages", {**found, "properties": {**found, **metadata}}, notes)
    closed = str(metadata.get("isClosed")).lower() == "true"
    chance = fields.text("probability")
    probability = None
    try:
        probability = float(chance) if chance else None
    except ValueError:
        fields.remark(f"the probability is {chance!r}")
    if probability is not None and not 0 <= probability <= 1:
        fields.remark(f"the probability is {chance!r}")
        probability = None
    outcome: Outcome = "open"
    if closed:
        outcome = "won" if probability and probability > 0.5 else "lost"
    return Stage(
        id=fields.id,
        name=fields.text("label") or fields.id,
        position=fields.integer("displayOrder") or 0,
        probability=probability,
        outcome=outcome,
    )


def company(fields: Fields, modified: datetime, portal: Portal, segment: str | None) -> Account:
    return Account(
        id=fields.id,
        modified_at=modified,
        name=fields.text("name") or fields.text("domain") or "",
        domain=fields.text("domain"),
        industry=fields.text("industry"),
        segment=fields.text(segment) if segment else None,
        employees=fields.integer("numberofemployees"),
        owner=fields.reference("hubspot_owner_id"),
        url=portal.link("companies", fields.id),
        created_at=fields.told("createdAt"),
    )


def contact(fields: Fields, modified: datetime, portal: Portal) -> Contact:
    email = fields.text("email")
    return Contact(
        id=fields.id,
        modified_at=modified,
        name=_joined(fields.text("firstname"), fields.text("lastname")) or email or "",
        email=email,
        title=fields.text("jobtitle"),
        account=fields.reference("associatedcompanyid"),
        owner=fields.reference("hubspot_owner_id"),
        url=portal.link("contacts", fields.id),
        created_at=fields.told("createdAt"),
    )


def deal(fields: Fields, modified: datetime, portal: Portal, linked: Linked) -> Deal:
    category = fields.text("hs_manual_forecast_category")
    return Deal(
        id=fields.id,
        modified_at=modified,
        name=fields.text("dealname") or "",
        pipeline=fields.reference("pipeline") or "default",
        stage=fields.reference("dealstage") or "unknown",
        amount=fields.money("amount"),
        currency=fields.text("deal_currency_code", longest=10) or portal.currency,
        close_date=fields.day("closedate", portal.zone),
        owner=fields.reference("hubspot_owner_id"),
        account=linked.company(fields.id),
        forecast_category=category and category.lower(),
        next_step=fields.plain("hs_next_step"),
        lost_reason=fields.plain("closed_lost_reason"),
        url=portal.link("deals", fields.id),
        created_at=fields.told("createdAt"),
        contacts=linked.contacts(fields.id),
        changes=tuple(_changes(fields, portal)),
    )


def activity(kind: str, fields: Fields, modified: datetime, linked: Linked) -> Activity:
    type_ = ACTIVITIES[kind]
    # A task stands at its due date until it is done.
    better = {"meeting": "hs_meeting_start_time", "task": "hs_task_completion_date"}.get(type_)
    at = (better and fields.moment(better)) or fields.moment("hs_timestamp")
    if at is None:
        at = fields.told("createdAt") or modified
        fields.remark("it says no time, so the time of its making stands for it")
    disposition = fields.text("hs_call_disposition")
    outcome = (
        (disposition and DISPOSITIONS.get(disposition, disposition))
        or fields.text("hs_meeting_outcome")
        or fields.text("hs_task_status")
        or fields.text("hs_email_status")
    )
    return Activity(
        id=f"{type_}-{fields.id}",
        modified_at=modified,
        type=type_,
        at=at,
        subject=fields.text(f"hs_{type_}_title") or fields.text(f"hs_{type_}_subject"),
        body=fields.plain(f"hs_{type_}_body")
        or fields.plain("hs_email_text")
        or fields.plain("hs_email_html"),
        direction=fields.chosen(f"hs_{type_}_direction", DIRECTIONS),
        outcome=outcome and outcome.lower(),
        owner=fields.reference("hubspot_owner_id"),
        account=linked.company(fields.id),
        deals=linked.ids("deals", fields.id),
        contacts=linked.ids("contacts", fields.id),
    )


def modified_at(fields: Fields, kind: str) -> datetime | None:
    modified = fields.moment(modified_property(kind)) or fields.told("updatedAt")
    if modified is None:
        fields.lose("it does not say when it was changed, and is left out")
    return modified


class Linked:
    """Who belongs to whom: `to` of every record, by the other's kind and the record's id."""

    def __init__(self, found: Mapping[str, Mapping[str, Sequence[Json]]]) -> None:
        self._found = found

    def ids(self, kind: str, id: str) -> tuple[str, ...]:
        return tuple(str(each["toObjectId"]) for each in self._of(kind, id))

    def company(self, id: str) -> str | None:
        """The primary one, else the oldest."""
        found = self._of("companies", id)
        primary = (each for each in found if "Primary" in _labels(each))
        first = next(primary, found[0] if found else None)
        return str(first["toObjectId"]) if first else None

    def contacts(self, id: str) -> tuple[DealContact, ...]:
        return tuple(
            DealContact(
                contact=str(each["toObjectId"]), role=", ".join(_labels(each))[:NAME] or None
            )
            for each in self._of("contacts", id)
        )

    def _of(self, kind: str, id: str) -> list[Json]:
        found = self._found.get(kind, {}).get(id, ())
        unique = {str(each["toObjectId"]): each for each in found if each.get("toObjectId")}
        return [unique[key] for key in sorted(unique, key=lambda id: (len(id), id))]


def _labels(association: Json) -> list[str]:
    types = dicts(association.get("associationTypes"))
    return sorted({storable(str(each["label"])) for each in types if each.get("label")})


def _changes(fields: Fields, portal: Portal) -> list[Change]:
    """In the order of time; versions that say the same again are none."""
    history = next(iter(dicts([fields.found.get("propertiesWithHistory")])), {})
    changes: list[Change] = []
    for name, field in HISTORY.items():
        versions: dict[datetime, str | None] = {}
        for version in reversed(dicts(history.get(name))):  # told with the newest first
            try:
                at = moment(str(version.get("timestamp")))
                versions[at] = _value(field, version.get("value"), portal)
            except (ValueError, OverflowError, ArithmeticError):
                was = repr(version.get("value"))[:60]
                fields.remark(f"{name} was {was}, which cannot be read")
        last = None
        for at in sorted(versions):
            if versions[at] != last:
                changes.append(Change(field=field, at=at, value=versions[at]))
                last = versions[at]
    return changes


def _value(field: ChangedField, value: Any, portal: Portal) -> str | None:
    if value in (None, ""):
        return None
    match field:
        case "amount":
            return str(money(str(value)))
        case "close_date":
            return day(str(value), portal.zone).isoformat()
        case "forecast_category":
            return storable(str(value)).lower()[:NAME]
        case _:
            return storable(str(value))[:NAME]


def _joined(*parts: str | None) -> str:
    return " ".join(part for part in parts if part)[:NAME]
