WITH sums AS (
    SELECT d.pipeline_id, d.stage_id, d.currency, count(*) AS deals,
        coalesce(sum(d.amount), 0) AS amount,
        coalesce(round(sum(d.amount * s.probability::numeric), 2), 0) AS weighted
    FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
    LEFT JOIN crm_stages s ON s.workspace_id = :workspace AND s.pipeline_id = d.pipeline_id
        AND s.id = d.stage_id
    WHERE d.outcome = 'open'
    GROUP BY d.pipeline_id, d.stage_id, d.currency
),
stages AS (
    SELECT pipeline_id, stage_id, sum(deals) AS deals,
        jsonb_agg(to_jsonb(sums) - '{pipeline_id,stage_id}'::text[]
            ORDER BY currency NULLS LAST) AS amounts
    FROM sums
    GROUP BY pipeline_id, stage_id
)
SELECT jsonb_build_object(
    'stages', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'pipeline_id', g.pipeline_id, 'pipeline', coalesce(p.name, g.pipeline_id),
            'stage_id', g.stage_id, 'stage', coalesce(s.name, g.stage_id),
            'probability', s.probability, 'deals', g.deals, 'amounts', g.amounts
        ) ORDER BY p.position, g.pipeline_id, s.position, g.stage_id), '[]')
        FROM stages g
        LEFT JOIN crm_pipelines p ON p.workspace_id = :workspace AND p.id = g.pipeline_id
            AND p.deleted_at IS NULL
        LEFT JOIN crm_stages s ON s.workspace_id = :workspace AND s.pipeline_id = g.pipeline_id
            AND s.id = g.stage_id
    ),
    'amounts', (
        SELECT coalesce(jsonb_agg(to_jsonb(summed) ORDER BY summed.currency NULLS LAST), '[]')
        FROM (
            SELECT currency, sum(deals) AS deals, sum(amount) AS amount, sum(weighted) AS weighted
            FROM sums GROUP BY currency
        ) AS summed
    )
)
