WITH span AS (
    SELECT * FROM crm_span(:workspace, :period, :since, :until)
),
entered AS (
    SELECT v.deal_id, v.stage_id, min(v.entered_at) AS at
    FROM crm_stage_visits v
    WHERE v.workspace_id = :workspace
    GROUP BY v.deal_id, v.stage_id
),
cohort AS (
    SELECT d.id, d.pipeline_id, d.stage_id AS stage_now, d.outcome, e.stage_id, e.at,
        d.outcome = 'won' OR EXISTS (
            SELECT FROM entered later
            JOIN crm_stages beyond ON beyond.workspace_id = :workspace
                AND beyond.pipeline_id = d.pipeline_id AND beyond.id = later.stage_id
                AND beyond.outcome = 'open'
            WHERE later.deal_id = d.id AND later.at > e.at AND beyond.position > s.position
        ) AS advanced
    FROM span
    JOIN entered e ON e.at >= span.begins AND e.at < span.ends
    JOIN crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d ON d.id = e.deal_id
    JOIN crm_stages s ON s.workspace_id = :workspace AND s.pipeline_id = d.pipeline_id
        AND s.id = e.stage_id AND s.outcome = 'open'
),
counted AS (
    SELECT pipeline_id, stage_id, count(*) AS entered,
        count(*) FILTER (WHERE advanced) AS advanced,
        count(*) FILTER (WHERE outcome = 'won') AS won,
        count(*) FILTER (WHERE NOT advanced AND outcome = 'lost') AS lost,
        count(*) FILTER (
            WHERE NOT advanced AND outcome = 'open' AND stage_now = stage_id
        ) AS still_there
    FROM cohort
    GROUP BY pipeline_id, stage_id
)
SELECT jsonb_build_object(
    'since', (SELECT first_day FROM span),
    'until', (SELECT last_day FROM span),
    'stages', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'pipeline_id', c.pipeline_id, 'pipeline', coalesce(p.name, c.pipeline_id),
            'stage_id', c.stage_id, 'stage', s.name,
            'entered', c.entered, 'advanced', c.advanced, 'lost', c.lost,
            'still_there', c.still_there,
            'moved_back', c.entered - c.advanced - c.lost - c.still_there, 'won', c.won,
            'advanced_rate', round(c.advanced::numeric / c.entered, 3),
            'decided_rate', round(c.advanced::numeric / nullif(c.advanced + c.lost, 0), 3),
            'won_rate', round(c.won::numeric / c.entered, 3)
        ) ORDER BY p.position, c.pipeline_id, s.position, c.stage_id), '[]')
        FROM counted c
        JOIN crm_stages s ON s.workspace_id = :workspace AND s.pipeline_id = c.pipeline_id
            AND s.id = c.stage_id
        LEFT JOIN crm_pipelines p ON p.workspace_id = :workspace AND p.id = c.pipeline_id
            AND p.deleted_at IS NULL
    )
)
