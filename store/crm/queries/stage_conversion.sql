WITH span AS (
    SELECT * FROM crm_span(:workspace, :period, :since, :until)
),
moved AS (
    SELECT DISTINCT c.deal_id
    FROM span
    JOIN crm_deal_changes c ON c.at >= span.begins AND c.at < span.ends
    WHERE c.workspace_id = :workspace AND c.field = 'stage'
),
visits AS (
    SELECT d.pipeline_id, d.stage_id AS stage_now, d.outcome, c.new_value AS stage_id, c.at,
        s.position,
        row_number() OVER (PARTITION BY d.id, c.new_value ORDER BY c.at) AS turn,
        max(s.position) OVER (
            PARTITION BY d.id ORDER BY c.at ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ) AS furthest
    FROM moved
    JOIN crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
        ON d.id = moved.deal_id
    JOIN crm_deal_changes c ON c.workspace_id = :workspace AND c.deal_id = d.id
        AND c.field = 'stage'
    JOIN crm_stages s ON s.workspace_id = :workspace AND s.pipeline_id = d.pipeline_id
        AND s.id = c.new_value AND s.outcome = 'open'
),
cohort AS (
    SELECT v.*, v.outcome = 'won' OR coalesce(v.furthest > v.position, false) AS advanced
    FROM span
    JOIN visits v ON v.turn = 1 AND v.at >= span.begins AND v.at < span.ends
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
