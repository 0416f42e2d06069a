"""What hangs on records: stages, contacts and changes of deals, deals of activities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from core.crm import Activity, Conversation, Deal, Pipeline

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from core.crm import Kind, RecordBase
    from store.pool import Connection

DROP_STAGES = """
    DELETE FROM crm_stages WHERE workspace_id = $1 AND pipeline_id = ANY($2::text[])
"""
ADD_STAGES = """
    INSERT INTO crm_stages
        (workspace_id, id, pipeline_id, name, position, probability, outcome)
    SELECT $1, r.id, r.pipeline, r.name, r.position, r.probability, r.outcome
    FROM jsonb_to_recordset($2::text::jsonb) AS r (
        id text, pipeline text, name text, position integer, probability double precision,
        outcome text
    )
    ON CONFLICT DO NOTHING
"""

DROP_DEAL_CONTACTS = """
    DELETE FROM crm_deal_contacts WHERE workspace_id = $1 AND deal_id = ANY($2::text[])
"""
ADD_DEAL_CONTACTS = """
    INSERT INTO crm_deal_contacts (workspace_id, deal_id, contact_id, role)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[])
    ON CONFLICT DO NOTHING
"""

DROP_ACTIVITY_DEALS = """
    DELETE FROM crm_activity_deals WHERE workspace_id = $1 AND activity_id = ANY($2::text[])
"""
ADD_ACTIVITY_DEALS = """
    INSERT INTO crm_activity_deals (workspace_id, deal_id, at, activity_id)
    SELECT $1, * FROM unnest($2::text[], $3::timestamptz[], $4::text[])
    ON CONFLICT DO NOTHING
"""
DROP_CONVERSATION_DEALS = """
    DELETE FROM crm_conversation_deals WHERE workspace_id = $1 AND conversation_id = ANY($2::text[])
"""
ADD_CONVERSATION_DEALS = """
    INSERT INTO crm_conversation_deals (workspace_id, deal_id, at, conversation_id)
    SELECT $1, * FROM unnest($2::text[], $3::timestamptz[], $4::text[])
    ON CONFLICT DO NOTHING
"""

FORGET_CHANGES = """
    DELETE FROM crm_deal_changes WHERE workspace_id = $1 AND deal_id = ANY($2::text[])
"""
# Before the deals are put: what a field was and will be, where the source tells no history of it.
# $1 workspace, $2 source, $3 records as JSON.
NOTE_CHANGES = """
    INSERT INTO crm_deal_changes (workspace_id, deal_id, field, at, old_value, new_value)
    SELECT $1, d.id, change.field, r.modified_at, change.old_value, change.new_value
    FROM jsonb_to_recordset($3::text::jsonb) AS r (
        id text, modified_at timestamptz, deleted boolean, stage text, amount numeric(18, 2),
        close_date date, owner text, forecast_category text, changes jsonb
    )
    JOIN crm_deals d ON d.workspace_id = $1 AND d.id = $2::text || ':' || r.id
    CROSS JOIN LATERAL (VALUES
        ('stage', d.stage_id, $2::text || ':' || r.stage),
        ('amount', d.amount::text, r.amount::text),
        ('close_date', d.close_date::text, r.close_date::text),
        ('owner', d.owner_id, $2::text || ':' || r.owner),
        ('forecast_category', d.forecast_category, r.forecast_category)
    ) AS change (field, old_value, new_value)
    WHERE r.modified_at >= d.modified_at
        AND NOT r.deleted AND d.deleted_at IS NULL
        AND change.old_value IS DISTINCT FROM change.new_value
        AND NOT r.changes @> jsonb_build_array(jsonb_build_object('field', change.field))
    ON CONFLICT (workspace_id, deal_id, field, at) DO UPDATE SET new_value = excluded.new_value
"""
# A history rules from its first entry on: what was noted before, the source may have forgotten.
DROP_CHANGES = """
    DELETE FROM crm_deal_changes c
    USING (
        SELECT r.deal, r.field, min(r.at) AS at
        FROM jsonb_to_recordset($2::text::jsonb) AS r (deal text, field text, at timestamptz)
        GROUP BY r.deal, r.field
    ) AS told
    WHERE c.workspace_id = $1 AND c.deal_id = told.deal AND c.field = told.field AND c.at >= told.at
"""
ADD_CHANGES = """
    INSERT INTO crm_deal_changes (workspace_id, deal_id, field, at, old_value, new_value)
    SELECT $1, deal, field, at, old_value, value
    FROM (
        SELECT *, lag(value, 1, before) OVER history AS old_value,
            row_number() OVER history AS place
        FROM (
            SELECT DISTINCT ON (r.deal, r.field, r.at) r.deal, r.field, r.at, r.value, (
                SELECT c.new_value FROM crm_deal_changes c
                WHERE c.workspace_id = $1 AND c.deal_id = r.deal AND c.field = r.field
                    AND c.at < r.at
                ORDER BY c.at DESC LIMIT 1
            ) AS before
            FROM jsonb_to_recordset($2::text::jsonb)
                AS r (deal text, field text, at timestamptz, value text, place integer)
            ORDER BY r.deal, r.field, r.at, r.place DESC
        ) AS told
        WINDOW history AS (PARTITION BY deal, field ORDER BY at)
    ) AS told
    WHERE place = 1 OR old_value IS DISTINCT FROM value
"""
# What follows from a deal's row, its stage and its history; nothing else ever sets it.
SETTLE_DEALS = """
    UPDATE crm_deals AS d SET
        outcome = now_is.outcome,
        stage_since = now_is.stage_since,
        closed_at = now_is.closed_at
    FROM (
        SELECT d.id, stage.outcome, since.stage_since,
            CASE WHEN stage.outcome <> 'open' THEN
                coalesce(
                    d.told_closed_at,
                    since.stage_since,
                    d.close_date::timestamp AT TIME ZONE w.timezone
                )
            END AS closed_at
        FROM crm_deals d
        LEFT JOIN workspaces w ON w.id = d.workspace_id
        CROSS JOIN LATERAL (
            SELECT coalesce(min(s.outcome), 'open') AS outcome
            FROM crm_stages s
            WHERE s.workspace_id = d.workspace_id AND s.pipeline_id = d.pipeline_id
                AND s.id = d.stage_id
        ) AS stage
        CROSS JOIN LATERAL (
            SELECT max(latest.at) AS stage_since FROM (
                SELECT c.at, c.new_value FROM crm_deal_changes c
                WHERE c.workspace_id = d.workspace_id AND c.deal_id = d.id AND c.field = 'stage'
                ORDER BY c.at DESC LIMIT 1
            ) AS latest
            WHERE latest.new_value = d.stage_id
        ) AS since
        WHERE d.workspace_id = $1 AND {which}
    ) AS now_is
    WHERE d.workspace_id = $1 AND d.id = now_is.id
        AND (d.outcome, d.stage_since, d.closed_at)
            IS DISTINCT FROM (now_is.outcome, now_is.stage_since, now_is.closed_at)
"""
SETTLE_THESE = SETTLE_DEALS.replace("{which}", "d.id = ANY($2::text[])")
SETTLE_THOSE_IN = SETTLE_DEALS.replace("{which}", "d.pipeline_id = ANY($2::text[])")


class Links:
    """Of one source; `changed` are the keys of the rows that a page replaced."""

    def __init__(self, connection: Connection, workspace: str, source: str) -> None:
        self._connection = connection
        self._workspace = workspace
        self._source = source

    async def note(self, kind: Kind, records: str) -> None:
        """To be asked before the records are put."""
        if kind == "deals":
            await self._connection.execute(NOTE_CHANGES, self._workspace, self._source, records)

    async def follow(self, records: Sequence[RecordBase], changed: Collection[str]) -> None:
        keys = set(changed)
        live = [each for each in records if self._key(each.id) in keys and not each.deleted]
        await self._stages([each for each in live if isinstance(each, Pipeline)])
        await self._deals([each for each in live if isinstance(each, Deal)])
        await self._activities([each for each in live if isinstance(each, Activity)])
        await self._conversations([each for each in live if isinstance(each, Conversation)])

    async def drop(self, kind: Kind, keys: Collection[str]) -> None:
        """Before what takes their place, or for good."""
        for statement in DROPS.get(kind, ()):
            await self._connection.execute(statement, self._workspace, list(keys))

    async def forget_past(self, kind: Kind, keys: Collection[str]) -> None:
        """Of what its source says is gone; what only was not seen may come back as it was."""
        if kind == "deals" and keys:
            await self._connection.execute(FORGET_CHANGES, self._workspace, list(keys))

    async def settle(self, kind: Kind, keys: Collection[str]) -> None:
        statement = {"deals": SETTLE_THESE, "pipelines": SETTLE_THOSE_IN}.get(kind)
        if statement is not None and keys:
            await self._connection.execute(statement, self._workspace, list(keys))

    async def _stages(self, pipelines: list[Pipeline]) -> None:
        rows = [
            {**stage.model_dump(), "id": self._key(stage.id), "pipeline": self._key(pipeline.id)}
            for pipeline in pipelines
            for stage in pipeline.stages
        ]
        await self._add(ADD_STAGES, rows)

    async def _deals(self, deals: list[Deal]) -> None:
        contacts = [(deal, each) for deal in deals for each in deal.contacts]
        if contacts:
            await self._connection.execute(
                ADD_DEAL_CONTACTS,
                self._workspace,
                [self._key(deal.id) for deal, _ in contacts],
                [self._key(each.contact) for _, each in contacts],
                [each.role for _, each in contacts],
            )
        changes = [
            {
                "deal": self._key(deal.id),
                "field": change.field,
                "at": change.at,
                "value": self._value(change.field, change.value),
                "place": place,
            }
            for deal in deals
            for place, change in enumerate(deal.changes)
        ]
        await self._add(DROP_CHANGES, changes)
        await self._add(ADD_CHANGES, changes)

    async def _activities(self, activities: list[Activity]) -> None:
        links = [(each, deal) for each in activities for deal in each.deals]
        await self._of_deals(ADD_ACTIVITY_DEALS, links)

    async def _conversations(self, conversations: list[Conversation]) -> None:
        links = [(each, deal) for each in conversations for deal in each.deals]
        await self._of_deals(ADD_CONVERSATION_DEALS, links)

    async def _of_deals(
        self, statement: str, links: Sequence[tuple[Activity | Conversation, str]]
    ) -> None:
        if links:
            await self._connection.execute(
                statement,
                self._workspace,
                [self._key(deal) for _, deal in links],
                [each.at or each.modified_at for each, _ in links],
                [self._key(each.id) for each, _ in links],
            )

    async def _add(self, statement: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            await self._connection.execute(statement, self._workspace, to_json(rows).decode())

    def _key(self, id: str) -> str:
        return f"{self._source}:{id}"

    def _value(self, field: str, value: str | None) -> str | None:
        return self._key(value) if field in ("stage", "owner") and value is not None else value


DROPS: dict[Kind, tuple[str, ...]] = {
    "pipelines": (DROP_STAGES,),
    "deals": (DROP_DEAL_CONTACTS,),
    "activities": (DROP_ACTIVITY_DEALS,),
    "conversations": (DROP_CONVERSATION_DEALS,),
}
