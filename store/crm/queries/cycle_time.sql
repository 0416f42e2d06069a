WITH span AS (
    SELECT * FROM crm_span(:workspace, :period, :since, :until)
),
closed AS (
    SELECT d.outcome,
        (d.closed_at AT TIME ZONE s.timezone)::date - (d.created_at AT TIME ZONE s.timezone)::date
            AS days,
        CASE :by::text
            WHEN 'owner' THEN d.owner_id
            WHEN 'pipeline' THEN d.pipeline_id
            WHEN 'segment' THEN d.segment
            WHEN 'month' THEN to_char(d.closed_at AT TIME ZONE s.timezone, 'YYYY-MM')
        END AS key
    FROM span s
    JOIN crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
        ON d.closed_at >= s.begins AND d.closed_at < s.ends
    WHERE d.outcome IN ('won', 'lost')
),
times AS (
    SELECT key, GROUPING(key) = 1 AS overall, count(*) AS deals, jsonb_build_object(
        'won', jsonb_build_object(
            'deals', count(*) FILTER (WHERE outcome = 'won'),
            'median_days', round((percentile_cont(0.5) WITHIN GROUP (ORDER BY days)
                FILTER (WHERE outcome = 'won'))::numeric, 1),
            'p75_days', round((percentile_cont(0.75) WITHIN GROUP (ORDER BY days)
                FILTER (WHERE outcome = 'won'))::numeric, 1)
        ),
        'lost', jsonb_build_object(
            'deals', count(*) FILTER (WHERE outcome = 'lost'),
            'median_days', round((percentile_cont(0.5) WITHIN GROUP (ORDER BY days)
                FILTER (WHERE outcome = 'lost'))::numeric, 1),
            'p75_days', round((percentile_cont(0.75) WITHIN GROUP (ORDER BY days)
                FILTER (WHERE outcome = 'lost'))::numeric, 1)
        )
    ) AS time
    FROM closed
    GROUP BY GROUPING SETS ((), (key))
)
SELECT jsonb_build_object(
    'since', (SELECT first_day FROM span),
    'until', (SELECT last_day FROM span),
    'overall', (SELECT time FROM times WHERE overall),
    'groups', (
        SELECT coalesce(jsonb_agg(
            jsonb_build_object('key', t.key, 'name', coalesce(o.name, p.name, t.key)) || t.time
            ORDER BY CASE :by WHEN 'month' THEN t.key END, t.deals DESC, t.key
        ), '[]')
        FROM times t
        LEFT JOIN crm_owners o ON :by = 'owner' AND o.workspace_id = :workspace AND o.id = t.key
            AND o.deleted_at IS NULL
        LEFT JOIN crm_pipelines p ON :by = 'pipeline' AND p.workspace_id = :workspace
            AND p.id = t.key AND p.deleted_at IS NULL
        WHERE NOT t.overall AND :by <> 'nothing'
    )
)
