WITH span AS (
    SELECT * FROM crm_span(:workspace, :period, :since, :until)
),
deals AS (
    SELECT * FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount)
),
passed AS (
    SELECT d.pipeline_id, v.stage_id, count(*) AS passes,
        percentile_cont(ARRAY[0.5, 0.75]) WITHIN GROUP (
            ORDER BY extract(epoch FROM v.left_at - v.entered_at) / 86400
        ) AS days
    FROM span s
    JOIN crm_stage_visits v ON v.workspace_id = :workspace
        AND v.left_at >= s.begins AND v.left_at < s.ends
    JOIN deals d ON d.id = v.deal_id
    GROUP BY d.pipeline_id, v.stage_id
),
waiting AS (
    SELECT d.pipeline_id, d.stage_id, count(*) AS deals,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY stay.days) AS days,
        count(*) FILTER (WHERE stay.days > 2 * p.days[1]) AS slow
    FROM deals d
    LEFT JOIN passed p ON p.pipeline_id = d.pipeline_id AND p.stage_id = d.stage_id
    CROSS JOIN LATERAL (SELECT extract(epoch FROM now() - d.stage_since) / 86400 AS days) AS stay
    WHERE d.outcome = 'open'
    GROUP BY d.pipeline_id, d.stage_id
)
SELECT jsonb_build_object(
    'since', (SELECT first_day FROM span),
    'until', (SELECT last_day FROM span),
    'stages', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'pipeline_id', s.pipeline_id, 'pipeline', p.name, 'stage_id', s.id, 'stage', s.name,
            'passes', coalesce(passed.passes, 0),
            'median_days', round(passed.days[1]::numeric, 1),
            'p75_days', round(passed.days[2]::numeric, 1),
            'open_deals', coalesce(waiting.deals, 0),
            'open_median_days', round(waiting.days::numeric, 1),
            'open_twice_median', coalesce(waiting.slow, 0)
        ) ORDER BY p.position, p.id, s.position, s.id), '[]')
        FROM crm_stages s
        JOIN crm_pipelines p ON p.workspace_id = s.workspace_id AND p.id = s.pipeline_id
            AND p.deleted_at IS NULL
        LEFT JOIN passed ON passed.pipeline_id = s.pipeline_id AND passed.stage_id = s.id
        LEFT JOIN waiting ON waiting.pipeline_id = s.pipeline_id AND waiting.stage_id = s.id
        WHERE s.workspace_id = :workspace AND s.outcome = 'open'
            AND (:pipelines IS NULL OR s.pipeline_id = ANY (:pipelines))
    )
)
