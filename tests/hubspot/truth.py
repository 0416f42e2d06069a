"""What the tables must hold after a sync, from the state of the server, and what they hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tests.hubspot.crm import CRM, ENGAGEMENTS, Thing, modified_property
from tests.hubspot.life import TITLES

if TYPE_CHECKING:
    import asyncpg

SOURCE = "hubspot"
ZONE = ZoneInfo("America/New_York")
OUTCOMES = {"won": "won", "lost": "lost"}
FIELDS = {
    "dealstage": "stage",
    "amount": "amount",
    "closedate": "close_date",
    "hubspot_owner_id": "owner",
    "hs_manual_forecast_category": "forecast_category",
}
Rows = dict[str, dict[Any, Any]]

TABLES = {
    "owners": "SELECT id, name, active FROM crm_owners",
    "pipelines": """
        SELECT id, name, (
            SELECT array_agg(
                s.id || '|' || s.name || '|' || s.position || '|' || s.outcome ORDER BY s.position
            )
            FROM crm_stages s WHERE s.workspace_id = p.workspace_id AND s.pipeline_id = p.id
        ) FROM crm_pipelines p
    """,
    "accounts": "SELECT id, name, domain, owner_id FROM crm_accounts",
    "contacts": "SELECT id, name, account_id FROM crm_contacts",
    "deals": """
        SELECT id, name, pipeline_id, stage_id, outcome, amount, close_date, owner_id,
            account_id, forecast_category
        FROM crm_deals
    """,
    "activities": "SELECT id, kind, at, coalesce(subject, body), owner_id FROM crm_activities",
}
LIVING = " WHERE workspace_id = $1 AND source_id = $2 AND deleted_at IS NULL"
DEAL_CONTACTS = """
    SELECT l.deal_id, l.contact_id, l.role FROM crm_deal_contacts l
    JOIN crm_deals d ON (d.workspace_id, d.id) = (l.workspace_id, l.deal_id)
    WHERE l.workspace_id = $1 AND d.deleted_at IS NULL
"""
# A link to what is deleted says nothing: who reads it finds nobody at its end.
ACTIVITY_DEALS = """
    SELECT l.activity_id, l.deal_id, l.at FROM crm_activity_deals l
    JOIN crm_deals d ON (d.workspace_id, d.id) = (l.workspace_id, l.deal_id)
    JOIN crm_activities a ON (a.workspace_id, a.id) = (l.workspace_id, l.activity_id)
    WHERE l.workspace_id = $1 AND d.deleted_at IS NULL AND a.deleted_at IS NULL
"""
ACTIVITY_PEOPLE = """
    SELECT a.id, c.id FROM crm_activities a
    JOIN crm_contacts c ON c.workspace_id = a.workspace_id AND c.id = ANY(a.contact_ids)
    WHERE a.workspace_id = $1 AND a.deleted_at IS NULL AND c.deleted_at IS NULL
    UNION ALL
    SELECT a.id, c.id FROM crm_activities a
    JOIN crm_accounts c ON c.workspace_id = a.workspace_id AND c.id = a.account_id
    WHERE a.workspace_id = $1 AND a.deleted_at IS NULL AND c.deleted_at IS NULL
"""
CHANGES = """
    SELECT c.deal_id, c.field, c.at, c.new_value FROM crm_deal_changes c
    JOIN crm_deals d ON (d.workspace_id, d.id) = (c.workspace_id, c.deal_id)
    WHERE c.workspace_id = $1 AND d.deleted_at IS NULL
"""
SEEN = """
    SELECT id, modified_at FROM crm_accounts WHERE workspace_id = $1 AND deleted_at IS NULL
    UNION ALL
    SELECT id, modified_at FROM crm_contacts WHERE workspace_id = $1 AND deleted_at IS NULL
    UNION ALL
    SELECT id, modified_at FROM crm_deals WHERE workspace_id = $1 AND deleted_at IS NULL
    UNION ALL
    SELECT id, modified_at FROM crm_activities WHERE workspace_id = $1 AND deleted_at IS NULL
"""


async def held(database: asyncpg.Connection | asyncpg.Pool, workspace: str) -> Rows:
    rows: Rows = {}
    for name, query in TABLES.items():
        found = await database.fetch(query + LIVING, workspace, SOURCE)
        rows[name] = {row[0]: tuple(row)[1:] for row in found}
    for name, query in (
        ("deal contacts", DEAL_CONTACTS),
        ("activity deals", ACTIVITY_DEALS),
        ("activity people", ACTIVITY_PEOPLE),
        ("changes", CHANGES),
    ):
        found = await database.fetch(query, workspace)
        rows[name] = dict.fromkeys(tuple(row) for row in found)
        assert len(rows[name]) == len(found)
    return rows


def true(crm: CRM) -> Rows:
    deals = {_key(each): each for each in crm.of("deals")}
    activities = {_key(each): each for kind in ENGAGEMENTS for each in crm.of(kind)}
    return {
        "owners": {
            f"{SOURCE}:{id}": (owner["firstName"], not owner["archived"])
            for id, owner in crm.owners.items()
        },
        "pipelines": {f"{SOURCE}:{id}": _pipeline(found) for id, found in crm.pipelines.items()},
        "accounts": {
            _key(each): (
                each.properties["name"],
                each.properties["domain"],
                _to(each.properties["hubspot_owner_id"]),
            )
            for each in crm.of("companies")
        },
        "contacts": {
            _key(each): (
                f"Ines {each.properties['lastname']}",
                _to(each.properties["associatedcompanyid"]),
            )
            for each in crm.of("contacts")
        },
        "deals": {key: _deal(crm, each) for key, each in deals.items()},
        "activities": {key: _activity(each) for key, each in activities.items()},
        "deal contacts": dict.fromkeys(
            (
                key,
                f"{SOURCE}:{id}",
                ", ".join(sorted(role for _, _, role in labels if role)) or None,
            )
            for key, each in deals.items()
            for id, labels in crm.linked("deals", each.id, "contacts").items()
        ),
        "activity deals": dict.fromkeys(
            (key, f"{SOURCE}:{id}", _time(each.properties["hs_timestamp"]))
            for key, each in activities.items()
            for id in crm.linked(each.kind, each.id, "deals")
        ),
        "activity people": dict.fromkeys(
            (key, f"{SOURCE}:{id}")
            for key, each in activities.items()
            for other in ("contacts", "companies")
            for id in crm.linked(each.kind, each.id, other)
        ),
        "changes": dict.fromkeys(
            (key, *change) for key, each in deals.items() for change in _changes(each)
        ),
    }


def differences(crm: CRM, rows: Rows) -> dict[str, dict[Any, tuple[Any, Any]]]:
    """By table and key: what is true, and what is held."""
    wrong: dict[str, dict[Any, tuple[Any, Any]]] = {}
    for name, expected in true(crm).items():
        found, none = rows[name], object()
        for key in expected.keys() | found.keys():
            pair = (expected.get(key, none), found.get(key, none))
            if pair[0] != pair[1]:
                told = tuple("nothing" if each is none else each for each in pair)
                wrong.setdefault(name, {})[key] = told
    return wrong


async def behind(
    database: asyncpg.Connection | asyncpg.Pool, workspace: str, crm: CRM, moment: datetime
) -> list[str]:
    """Of what lives, all that is not held as it was at this moment, or newer."""
    held = {row[0]: row[1] for row in await database.fetch(SEEN, workspace)}
    late: list[str] = []
    for things in crm.things.values():
        for thing in things.values():
            known = thing.as_of(moment)
            if known is None or not thing.lives:
                continue
            row = held.get(_key(thing))
            if row is None or row < _time(known.properties[modified_property(thing.kind)]):
                late.append(_key(thing))
    return late


def _key(thing: Thing) -> str:
    id = f"{thing.kind[:-1]}-{thing.id}" if thing.kind in ENGAGEMENTS else thing.id
    return f"{SOURCE}:{id}"


def _to(id: str | None) -> str | None:
    return None if id is None else f"{SOURCE}:{id}"


def _time(text: str | None) -> datetime:
    return datetime.fromisoformat(text or "").astimezone(UTC)


def _pipeline(found: dict[str, Any]) -> tuple[Any, ...]:
    stages = [
        f"{SOURCE}:{stage['id']}|{stage['label']}|{number}|{OUTCOMES.get(stage['id'], 'open')}"
        for number, stage in enumerate(found["stages"])
    ]
    return found["label"], stages


def _deal(crm: CRM, deal: Thing) -> tuple[Any, ...]:
    said = deal.properties
    companies = list(crm.linked("deals", deal.id, "companies"))
    pipeline, stage = said["pipeline"] or "", said["dealstage"] or ""
    there = {each["id"] for each in crm.pipelines[pipeline]["stages"]}
    return (
        said["dealname"],
        _to(pipeline),
        _to(stage),
        OUTCOMES.get(stage, "open") if stage in there else "open",
        int(said["amount"]) if said["amount"] else None,
        _time(said["closedate"]).astimezone(ZONE).date(),
        _to(said["hubspot_owner_id"]),
        _to(companies[0]) if companies else None,
        (said["hs_manual_forecast_category"] or "").lower() or None,
    )


def _activity(thing: Thing) -> tuple[Any, ...]:
    said = thing.properties
    return (
        thing.kind[:-1],
        _time(said["hs_timestamp"]),
        said[TITLES[thing.kind]],
        _to(said["hubspot_owner_id"]),
    )


def _changes(deal: Thing) -> list[tuple[str, datetime, str | None]]:
    changes: list[tuple[str, datetime, str | None]] = []
    for name, field in FIELDS.items():
        values = {_time(each["timestamp"]): each["value"] for each in deal.history[name][::-1]}
        last = None
        for at, value in values.items():
            told = _told(field, value) if value else None
            if told != last:
                changes.append((field, at, told))
            last = told
    return changes


def _told(field: str, value: str) -> str | None:
    match field:
        case "stage" | "owner":
            return _to(value)
        case "amount":
            return f"{int(value)}.00"
        case "close_date":
            return _time(value).astimezone(ZONE).date().isoformat()
        case _:
            return value.lower()
