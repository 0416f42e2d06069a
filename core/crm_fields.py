"""What each kind of record is made of, for sources that hold it in columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.crm import Kind

Shape = Literal[
    "text", "id", "ids", "texts", "number", "whole", "date", "time", "truth", "links", "objects"
]


@dataclass(frozen=True)
class FieldOf:
    """`also` are names that columns often have for it; spaces, case and signs do not count."""

    shape: Shape = "text"
    also: tuple[str, ...] = ()


def text(*also: str) -> FieldOf:
    return FieldOf("text", also)


def id_of(*also: str) -> FieldOf:
    return FieldOf("id", also)


def time(*also: str) -> FieldOf:
    return FieldOf("time", also)


MODIFIED = time(
    "last modified date", "last modified", "modified", "updated at", "updated", "last updated",
    "modified date", "update time", "system modstamp", "modified on",
)  # fmt: skip
CREATED = time("created", "create date", "created date", "creation date", "created on")
DELETED = FieldOf("truth", ("is deleted", "archived", "deleted at", "is archived"))
OWNER = id_of("owner id", "deal owner", "record owner", "assigned to", "rep", "owner name")
ACCOUNT = id_of(
    "account id", "company id", "organization id", "account name", "company", "associated company"
)
URL = text("link", "record url")
CURRENCY = text("currency code", "currency iso code")
TITLE = text("subject", "name", "topic")

FIELDS: dict[Kind, dict[str, FieldOf]] = {
    "owners": {
        "id": id_of("owner id", "user id", "rep id"),
        "name": text("full name", "owner", "owner name", "user name", "rep"),
        "email": text("email address", "mail"),
        "team": text("department", "team name"),
        "active": FieldOf("truth", ("is active", "enabled")),
        "modified_at": MODIFIED,
        "deleted": DELETED,
    },
    # A row is a stage: rows with the same pipeline make one record.
    "pipelines": {
        "id": id_of("pipeline id", "pipeline"),
        "name": text("pipeline name", "pipeline label"),
        "stage": id_of("stage id", "stage name"),
        "stage_name": text("stage label", "stage name", "stage"),
        "position": FieldOf("whole", ("order", "display order", "sort order", "sequence")),
        "probability": FieldOf("number", ("win probability", "default probability")),
        "outcome": text("result", "closed as", "state"),
        "modified_at": MODIFIED,
    },
    "accounts": {
        "id": id_of("account id", "company id", "record id", "organization id"),
        "name": text("account name", "company name", "company", "organization"),
        "domain": text("website", "company domain name", "domain name", "web site"),
        "industry": text("sector"),
        "segment": text("tier", "market segment", "customer segment"),
        "employees": FieldOf(
            "whole", ("number of employees", "employee count", "headcount", "company size")
        ),
        "owner": OWNER,
        "url": URL,
        "created_at": CREATED,
        "modified_at": MODIFIED,
        "deleted": DELETED,
    },
    "contacts": {
        "id": id_of("contact id", "record id", "person id"),
        "name": text("full name", "contact name"),
        "email": text("email address", "mail"),
        "title": text("job title", "position", "role"),
        "account": ACCOUNT,
        "owner": OWNER,
        "url": URL,
        "created_at": CREATED,
        "modified_at": MODIFIED,
        "deleted": DELETED,
    },
    "deals": {
        "id": id_of("deal id", "record id", "opportunity id", "opp id"),
        "name": text("deal name", "opportunity name", "opportunity", "deal"),
        "pipeline": id_of("pipeline id", "pipeline name"),
        "stage": id_of("deal stage", "stage name", "stage id", "sales stage"),
        "amount": FieldOf("number", ("value", "deal value", "deal amount", "arr", "acv", "tcv")),
        "currency": CURRENCY,
        "close_date": FieldOf("date", ("expected close", "expected close date", "closing date")),
        "owner": OWNER,
        "account": ACCOUNT,
        "segment": text("market segment", "customer segment"),
        "forecast_category": text("forecast", "forecast category name"),
        "next_step": text("next steps", "next action"),
        "lost_reason": text("closed lost reason", "loss reason", "reason lost"),
        # Ids, or objects with a `contact` and a `role`.
        "contacts": FieldOf("links", ("contact ids", "associated contact ids", "contact id")),
        # Objects as of `core.crm.Change`: what a field was from then on.
        "changes": FieldOf("objects", ("history", "field history")),
        "stage_since": time("stage entered", "date entered stage", "last stage change date"),
        "closed_at": time("closed on", "actual close date", "won at"),
        "url": URL,
        "created_at": CREATED,
        "modified_at": MODIFIED,
        "deleted": DELETED,
    },
    "activities": {
        "id": id_of("activity id", "record id", "task id", "event id"),
        "type": text("activity type", "kind"),
        "at": time("date", "activity date", "due date", "occurred at", "timestamp", "when"),
        "subject": TITLE,
        "body": text("notes", "description", "details", "comments", "text"),
        "direction": text("in or out"),
        "outcome": text("result", "disposition", "call outcome"),
        "owner": OWNER,
        "account": ACCOUNT,
        "deals": FieldOf("ids", ("deal", "deal id", "deal ids", "opportunity id", "related to")),
        "contacts": FieldOf("ids", ("contact", "contact id", "contact ids", "who id")),
        "modified_at": MODIFIED,
        "deleted": DELETED,
    },
    "conversations": {
        "id": id_of("conversation id", "call id", "meeting id", "record id"),
        "type": text("conversation type", "kind"),
        "title": TITLE,
        "at": time("date", "started at", "start time", "started", "when"),
        "participants": FieldOf("texts", ("attendees", "people", "speakers")),
        "transcript": text("text", "body", "content"),
        "summary": text("notes", "abstract"),
        "owner": OWNER,
        "account": ACCOUNT,
        "deals": FieldOf("ids", ("deal", "deal id", "deal ids", "opportunity id")),
        "url": URL,
        "modified_at": MODIFIED,
        "deleted": DELETED,
    },
    "quotas": {
        "id": id_of("quota id", "record id"),
        "owner": OWNER,
        "pipeline": id_of("pipeline id"),
        "starts_on": FieldOf("date", ("start date", "start", "from", "period start")),
        "ends_on": FieldOf("date", ("end date", "end", "until", "period end")),
        "amount": FieldOf("number", ("quota", "target", "quota amount")),
        "currency": CURRENCY,
        "modified_at": MODIFIED,
        "deleted": DELETED,
    },
}
REQUIRED: dict[Kind, tuple[str, ...]] = {
    "owners": ("id",),
    "pipelines": ("id", "stage"),
    "accounts": ("id", "name"),
    "contacts": ("id",),
    "deals": ("id", "stage"),
    "activities": ("id", "at"),
    "conversations": ("id", "at"),
    # Without an id, owner, pipeline and beginning tell one from another.
    "quotas": ("starts_on", "ends_on", "amount"),
}
