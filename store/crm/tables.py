"""Which column of which table holds what of a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.crm import Kind

# $1 workspace, $2 source, $3 records as JSON, $4 pass. `old` is of before: all parts of a statement
# see the tables as it found them.
UPSERT = """
    WITH told AS MATERIALIZED (
        SELECT
            $2::text || ':' || r.id AS key,
            CASE WHEN r.deleted THEN r.modified_at END AS deleted_at,
            md5((each.doc - 'modified_at')::text)::uuid AS digest,
            r.*
        FROM jsonb_array_elements($3::text::jsonb) AS each (doc),
            jsonb_to_record(each.doc) AS r (
                id text, modified_at timestamptz, deleted boolean, {fields}
            )
    ),
    old AS MATERIALIZED (
        SELECT o.id, o.digest, o.deleted_at
        FROM told JOIN {table} o ON o.workspace_id = $1 AND o.id = told.key
    ),
    put AS (
        INSERT INTO {table} AS t (
            workspace_id, id, source_id, modified_at, deleted_at, pass, digest, {columns}
        )
        SELECT $1, r.key, $2, r.modified_at, r.deleted_at, $4, r.digest, {values}
        FROM told r
        ON CONFLICT (workspace_id, id) DO UPDATE SET
            modified_at = excluded.modified_at,
            deleted_at = excluded.deleted_at,
            pass = excluded.pass,
            digest = excluded.digest,
            ({columns}) = ROW({excluded})
        WHERE crm_replaces(
            excluded.modified_at, excluded.digest, t.modified_at, t.digest, t.deleted_at
        )
        RETURNING t.id, t.digest, t.deleted_at IS NOT NULL AS is_deleted
    )
    SELECT
        put.id,
        put.is_deleted,
        coalesce(old.deleted_at IS NULL AND old.id IS NOT NULL, false) AS was_there,
        old.digest IS NOT DISTINCT FROM put.digest AS same
    FROM put LEFT JOIN old ON old.id = put.id
"""
SEEN = """
    UPDATE {table} SET pass = $3
    WHERE workspace_id = $1 AND id = ANY($2::text[]) AND pass IS DISTINCT FROM $3
"""
# Later than the row by all means: that tells it from a deletion the source told.
DELETE_UNSEEN = """
    UPDATE {table} SET deleted_at = greatest(now(), modified_at + interval '1 microsecond')
    WHERE workspace_id = $1 AND id IN (
        SELECT id FROM {table}
        WHERE workspace_id = $1 AND source_id = $2 AND pass IS DISTINCT FROM $3
            AND deleted_at IS NULL
        LIMIT $4
    )
    RETURNING id
"""
FORGET = """
    DELETE FROM {table} WHERE workspace_id = $1 AND id IN (
        SELECT id FROM {table} WHERE workspace_id = $1 AND source_id = $2 LIMIT $3
    )
    RETURNING id
"""


@dataclass(frozen=True)
class Column:
    name: str
    field: str
    type: str = "text"
    value: str = ""

    @property
    def expression(self) -> str:
        return self.value or f"r.{self.field}"


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[Column, ...]

    @property
    def upsert(self) -> str:
        names = [column.name for column in self.columns]
        return (
            UPSERT.replace("{table}", self.name)
            .replace("{fields}", ", ".join(f"{each.field} {each.type}" for each in self.columns))
            .replace("{columns}", ", ".join(names))
            .replace("{values}", ", ".join(each.expression for each in self.columns))
            .replace("{excluded}", ", ".join(f"excluded.{name}" for name in names))
        )

    @property
    def seen(self) -> str:
        return SEEN.replace("{table}", self.name)

    @property
    def delete_unseen(self) -> str:
        return DELETE_UNSEEN.replace("{table}", self.name)

    @property
    def forget(self) -> str:
        return FORGET.replace("{table}", self.name)


def plain(name: str, type: str = "text") -> Column:
    return Column(name, name, type)


def reference(field: str) -> Column:
    """To another record of the same source."""
    return Column(f"{field}_id", field, value=f"$2::text || ':' || r.{field}")


def or_modified(name: str, type: str = "timestamptz") -> Column:
    """Of what is deleted only the id and the time are told."""
    return Column(name, name, type, f"coalesce(r.{name}, r.modified_at::{type})")


def texts(*names: str) -> tuple[Column, ...]:
    return tuple(plain(name) for name in names)


TABLES: dict[Kind, Table] = {
    "owners": Table("crm_owners", (*texts("name", "email", "team"), plain("active", "boolean"))),
    "pipelines": Table("crm_pipelines", (plain("name"), plain("position", "integer"))),
    "accounts": Table(
        "crm_accounts",
        (
            *texts("name", "domain", "industry", "segment", "url"),
            plain("employees", "integer"),
            reference("owner"),
            plain("created_at", "timestamptz"),
        ),
    ),
    "contacts": Table(
        "crm_contacts",
        (
            *texts("name", "email", "title", "url"),
            reference("account"),
            reference("owner"),
            plain("created_at", "timestamptz"),
        ),
    ),
    "deals": Table(
        "crm_deals",
        (
            *texts("name", "currency", "segment", "forecast_category", "next_step"),
            *texts("lost_reason", "url"),
            reference("pipeline"),
            reference("stage"),
            plain("amount", "numeric"),
            plain("close_date", "date"),
            reference("owner"),
            reference("account"),
            or_modified("created_at"),
            Column("told_closed_at", "closed_at", "timestamptz"),
        ),
    ),
    "activities": Table(
        "crm_activities",
        (
            Column("kind", "type"),
            or_modified("at"),
            *texts("subject", "body", "direction", "outcome"),
            reference("owner"),
            reference("account"),
            Column(
                "contact_ids",
                "contacts",
                "text[]",
                "array(SELECT $2::text || ':' || each FROM unnest(r.contacts) AS each)",
            ),
        ),
    ),
    "conversations": Table(
        "crm_conversations",
        (
            Column("kind", "type"),
            or_modified("at"),
            *texts("title", "transcript", "summary", "url"),
            plain("participants", "text[]"),
            reference("owner"),
            reference("account"),
        ),
    ),
    "quotas": Table(
        "crm_quotas",
        (
            reference("owner"),
            reference("pipeline"),
            or_modified("starts_on", "date"),
            or_modified("ends_on", "date"),
            plain("amount", "numeric"),
            plain("currency"),
        ),
    ),
}
