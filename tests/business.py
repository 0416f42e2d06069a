"""Business data in quantity, made by Postgres itself, and what can be asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncpg

LARGE, SMALL = "w0", "w1"
DEALS = 100_000
ACTIVITIES_OF_A_DEAL = 10

LONG = "last_800_days"
FILTERED: dict[str, Any] = {
    "pipeline": "Pipeline 1",
    "owner": "Owner 7",
    "segment": "smb",
    "min_amount": 1000,
}
# Each tool at least once: as it is asked most, over a long time, and filtered.
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("crm_open_deals", {}),
    ("crm_open_deals", FILTERED),
    ("crm_open_deals", {"stage": "Stage 2", "category": "commit", "order_by": "close_date"}),
    ("crm_open_deals", {"closing_from": "2026-01-01", "in_stage_since": "2026-01-01"}),
    ("crm_new_deals", {}),
    ("crm_new_deals", {"period": LONG, **FILTERED}),
    ("crm_won_deals", {}),
    ("crm_won_deals", {"period": LONG}),
    ("crm_lost_deals", {}),
    ("crm_lost_deals", {"period": LONG}),
    ("crm_get_deal", {"deal_id": "hs:0"}),
    ("crm_stale_deals", {}),
    ("crm_stale_deals", FILTERED),
    ("crm_at_risk_deals", {}),
    ("crm_at_risk_deals", FILTERED),
    ("crm_slipped_deals", {}),
    ("crm_activity_gaps", {}),
    ("crm_activity_gaps", {"days": 800, **FILTERED}),
    ("crm_single_threaded_deals", {}),
    ("crm_close_date_pushes", {}),
    ("crm_close_date_pushes", {"days": 90, "min_pushes": 1}),
    ("crm_amount_changes", {}),
    ("crm_missing_fields", {}),
    ("crm_missing_fields", {"fields": ["contacts"]}),
    ("crm_pipeline_by_stage", {}),
    ("crm_pipeline_by_owner", {}),
    ("crm_pipeline_by_segment", {}),
    ("crm_pipeline_by_segment", FILTERED),
    ("crm_forecast", {}),
    ("crm_forecast", {"period": LONG}),
    ("crm_quota_coverage", {}),
    ("crm_owner_load", {}),
    ("crm_stage_conversion", {}),
    ("crm_stage_conversion", {"period": LONG}),
    ("crm_stage_velocity", {}),
    ("crm_stage_velocity", {"period": "last_30_days", **FILTERED}),
    ("crm_win_rate", {"by": "owner"}),
    ("crm_win_rate", {"period": LONG, "by": "month"}),
    ("crm_cycle_time", {"by": "segment"}),
    ("crm_cycle_time", {"period": LONG}),
    ("crm_conversations", {}),
    ("crm_conversations", {"deal_id": "hs:0", "period": LONG}),
    ("crm_conversations", {"account_id": "hs:a0", "period": LONG}),
    ("crm_conversations", {"owner": "Owner 7", "period": LONG}),
    ("crm_mentions", {"term": "budget is frozen", "period": LONG}),
    ("crm_mentions", {"term": "like it", "period": LONG}),
    ("crm_mentions", {"term": "budget", "deal_id": "hs:0"}),
    ("crm_contact_roles", {}),
    ("crm_contact_roles", {"deal_id": "hs:0"}),
    ("crm_contact_roles", {"without_role": "decision maker"}),
    ("crm_get_account", {"account_id": "hs:a0"}),
    ("crm_search", {"text": "person 1"}),
    ("crm_search", {"text": "deal ab"}),
]

INDEXES = """
    SELECT i.indexrelid::regclass::text AS name, i.indrelid::regclass::text AS of,
        pg_get_indexdef(i.indexrelid) AS made, c.conname AS constraint
    FROM pg_index i
    LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid
    WHERE i.indrelid::regclass::text LIKE 'crm\\_%'
"""


# Ten workspaces share the tables, and the first has four tenths of all; each begins to number its
# own at 0. A deal of number n is open where n % 7 = 0; they were created in the last two years.
def much(deals: int) -> str:
    return f"""
    INSERT INTO workspaces (id, name, timezone)
        SELECT 'w' || w, 'W', 'Europe/Berlin' FROM generate_series(0, 9) w;
    CREATE UNLOGGED TABLE made AS
        SELECT w, n, 'hs:' || n AS id, n % 7 = 0 AS is_open,
            now() - (n::bigint * 7919 % 730) * interval '1 day' AS created_at
        FROM (
            SELECT 'w' || w AS w, row_number() OVER (PARTITION BY w ORDER BY i) - 1 AS n
            FROM generate_series(0, {deals - 1}) i
            CROSS JOIN LATERAL (
                SELECT CASE WHEN i % 10 < 4 THEN 0 ELSE i % 9 + 1 END AS w
            ) AS whose
        ) AS numbered;
    INSERT INTO crm_owners (workspace_id, id, source_id, name, email, modified_at)
        SELECT 'w' || w, 'hs:o' || n, 'hs', 'Owner ' || n, 'o' || n || '@example.com', now()
        FROM generate_series(0, 9) w, generate_series(0, 39) n;
    INSERT INTO crm_pipelines (workspace_id, id, source_id, name, position, modified_at)
        SELECT 'w' || w, 'hs:p' || n, 'hs', 'Pipeline ' || n, n, now()
        FROM generate_series(0, 9) w, generate_series(0, 2) n;
    INSERT INTO crm_stages
        SELECT 'w' || w, 'hs:s' || s, 'hs:p' || p, 'Stage ' || s, s,
            CASE s WHEN 7 THEN 0 ELSE s / 6.0 END,
            CASE s WHEN 6 THEN 'won' WHEN 7 THEN 'lost' ELSE 'open' END
        FROM generate_series(0, 9) w, generate_series(0, 2) p, generate_series(0, 7) s;
    INSERT INTO crm_accounts (
        workspace_id, id, source_id, name, domain, segment, owner_id, modified_at
    )
        SELECT w, 'hs:a' || n, 'hs', 'Company ' || md5(n::text), 'c' || n || '.example',
            (ARRAY['SMB', 'Mid-market', 'Enterprise'])[n % 3 + 1], 'hs:o' || n % 40, now()
        FROM made WHERE n % 2 = 0;
    INSERT INTO crm_contacts (
        workspace_id, id, source_id, name, email, account_id, modified_at
    )
        SELECT w, 'hs:k' || n, 'hs', 'Person ' || md5(n::text), 'p' || n || '@example.com',
            'hs:a' || n / 2 * 2, now()
        FROM made;
    INSERT INTO crm_deals (
        workspace_id, id, source_id, name, pipeline_id, stage_id, outcome, stage_since, amount,
        currency, close_date, owner_id, account_id, forecast_category, next_step, created_at,
        closed_at, modified_at
    )
        SELECT w, id, 'hs', 'Deal ' || md5(n::text), 'hs:p' || n % 3,
            CASE WHEN is_open THEN 'hs:s' || n % 6 WHEN n % 3 = 0 THEN 'hs:s6' ELSE 'hs:s7' END,
            CASE WHEN is_open THEN 'open' WHEN n % 3 = 0 THEN 'won' ELSE 'lost' END,
            created_at + interval '40 days', n % 1000 * 100, 'EUR',
            (created_at + n % 120 * interval '1 day')::date, 'hs:o' || n % 40,
            'hs:a' || n / 2 * 2, (ARRAY['commit', 'best case', 'pipeline'])[n % 3 + 1],
            CASE WHEN n % 4 > 0 THEN 'Call them' END, created_at,
            CASE WHEN NOT is_open THEN created_at + n % 120 * interval '1 day' END, now()
        FROM made;
    INSERT INTO crm_deal_contacts
        SELECT w, id, 'hs:k' || n, 'champion' FROM made WHERE n % 5 > 0
        UNION ALL SELECT w, id, 'hs:k' || n / 10 * 10, 'decision maker' FROM made WHERE n % 5 = 1;
    INSERT INTO crm_deal_changes
        SELECT w, id, 'stage', created_at + s * interval '10 days',
            CASE WHEN s > 0 THEN 'hs:s' || s - 1 END, 'hs:s' || s
        FROM made, generate_series(0, 4) s
        UNION ALL
        SELECT w, id, 'close_date', created_at + c * interval '15 days',
            (created_at + c * interval '30 days')::date::text,
            (created_at + (c + 1) * interval '30 days')::date::text
        FROM made, generate_series(0, 2) c
        UNION ALL
        SELECT w, id, 'amount', now() - n % 100 * interval '1 day', '90000', '80000'
        FROM made WHERE n % 3 = 0;
    INSERT INTO crm_activities (
        workspace_id, id, source_id, kind, at, subject, owner_id, account_id, modified_at
    )
        SELECT w, 'hs:' || n * 10 + a, 'hs', 'email', created_at + a * interval '9 days',
            'Hello', 'hs:o' || n % 40, 'hs:a' || n / 2 * 2, now()
        FROM made, generate_series(0, {ACTIVITIES_OF_A_DEAL - 1}) a;
    INSERT INTO crm_activity_deals
        SELECT w, id, created_at + a * interval '9 days', 'hs:' || n * 10 + a
        FROM made, generate_series(0, {ACTIVITIES_OF_A_DEAL - 1}) a;
    INSERT INTO crm_conversations (
        workspace_id, id, source_id, kind, title, at, participants, transcript, account_id,
        owner_id, modified_at
    )
        SELECT w, 'hs:v' || n, 'hs', 'call', 'Call ' || n, created_at + interval '20 days',
            ARRAY['Ann', 'Bob'],
            'We like it. ' || CASE WHEN n % 500 = 0 THEN 'The budget is frozen. ' ELSE '' END
                || repeat('And so on it went. ', 3),
            'hs:a' || n / 2 * 2, 'hs:o' || n % 40, now()
        FROM made WHERE n % 2 = 0;
    INSERT INTO crm_conversation_deals
        SELECT w, id, created_at + interval '20 days', 'hs:v' || n FROM made WHERE n % 2 = 0;
    INSERT INTO crm_quotas (
        workspace_id, id, source_id, owner_id, starts_on, ends_on, amount, currency, modified_at
    )
        SELECT 'w' || w, 'hs:q' || n, 'hs', 'hs:o' || n, date_trunc('quarter', now())::date,
            (date_trunc('quarter', now()) + interval '3 months')::date - 1, 1000000, 'EUR', now()
        FROM generate_series(0, 9) w, generate_series(0, 39) n;
    DROP TABLE made
"""


async def fill(connection: asyncpg.Connection, deals: int = DEALS) -> None:
    """Indexes are made afterwards, which is quicker, and all ends as autovacuum would leave it."""
    indexes = await connection.fetch(INDEXES)
    for table in sorted({index["of"] for index in indexes}):
        # Or else the log of it takes a gigabyte, where tests keep it in memory.
        await connection.execute(f"ALTER TABLE {table} SET UNLOGGED")
    for index in indexes:
        if index["constraint"]:
            line = f"ALTER TABLE {index['of']} DROP CONSTRAINT {index['constraint']}"
        else:
            line = f"DROP INDEX {index['name']}"
        await connection.execute(line)
    await connection.execute(much(deals))
    await connection.execute("SET maintenance_work_mem = '256MB'")
    for index in indexes:
        await connection.execute(index["made"])
        if index["constraint"]:
            await connection.execute(
                f"ALTER TABLE {index['of']} ADD CONSTRAINT {index['constraint']} "
                f"PRIMARY KEY USING INDEX {index['name']}"
            )
    await connection.execute("VACUUM ANALYZE")
