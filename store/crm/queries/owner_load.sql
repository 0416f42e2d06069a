WITH deals AS (
    SELECT d.owner_id, d.currency, d.amount, d.next_step,
        d.close_date BETWEEN c.today AND c.today + 30 AS soon, d.close_date < c.today AS overdue,
        c.today - (coalesce(touch.at, d.created_at) AT TIME ZONE c.timezone)::date >= 14 AS stale
    FROM crm_chosen(:workspace, :pipelines, NULL, :segments, NULL) d
    JOIN crm_calendar c ON c.workspace_id = :workspace
    CROSS JOIN LATERAL crm_last_touch(:workspace, d.id) touch
    WHERE d.outcome = 'open'
),
sums AS (
    SELECT owner_id, currency, count(*) AS deals, coalesce(sum(amount), 0) AS amount,
        count(*) FILTER (WHERE soon) AS soon, count(*) FILTER (WHERE overdue) AS overdue,
        count(*) FILTER (WHERE stale) AS stale, count(*) FILTER (WHERE next_step IS NULL) AS vague
    FROM deals
    GROUP BY owner_id, currency
),
loads AS (
    SELECT owner_id, sum(deals) AS deals, sum(soon) AS soon, sum(overdue) AS overdue,
        sum(stale) AS stale, sum(vague) AS vague,
        jsonb_agg(jsonb_build_object('currency', currency, 'deals', deals, 'amount', amount)
            ORDER BY currency NULLS LAST) AS amounts
    FROM sums
    GROUP BY owner_id
),
owners AS (
    SELECT coalesce(o.id, l.owner_id) AS owner_id, o.name AS owner, o.team, o.active,
        coalesce(l.deals, 0) AS open_deals, coalesce(l.amounts, '[]') AS amounts,
        coalesce(l.soon, 0) AS closing_30_days, coalesce(l.overdue, 0) AS overdue,
        coalesce(l.stale, 0) AS stale, coalesce(l.vague, 0) AS no_next_step
    FROM loads l
    FULL JOIN (
        SELECT * FROM crm_owners WHERE workspace_id = :workspace AND deleted_at IS NULL
    ) AS o ON o.id = l.owner_id
    WHERE l.deals > 0 OR o.active
),
page AS (
    SELECT *, row_number() OVER (ORDER BY open_deals DESC, owner_id) AS place
    FROM owners ORDER BY place LIMIT :limit OFFSET :offset
)
SELECT jsonb_build_object(
    'owners', (
        SELECT coalesce(jsonb_agg(
            to_jsonb(page) - 'place' || jsonb_build_object('activities_30_days', (
                SELECT count(*) FROM crm_activities a
                WHERE a.workspace_id = :workspace AND a.owner_id = page.owner_id
                    AND a.deleted_at IS NULL AND a.at <= now()
                    AND a.at >= (c.today - 29)::timestamp AT TIME ZONE c.timezone
            ))
            ORDER BY page.place
        ), '[]')
        FROM page JOIN crm_calendar c ON c.workspace_id = :workspace
    ),
    'total', (SELECT count(*) FROM owners),
    'more', (SELECT count(*) FROM owners) > :offset::bigint + :limit::bigint
)
