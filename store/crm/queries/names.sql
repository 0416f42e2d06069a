-- What a filter's word means: ids, and, for a word that means nothing, the words that would.
WITH RECURSIVE segments (name) AS (
    SELECT least(
        (
            SELECT min(segment) FROM crm_deals
            WHERE workspace_id = :workspace AND deleted_at IS NULL
        ),
        (
            SELECT min(segment) FROM crm_accounts
            WHERE workspace_id = :workspace AND deleted_at IS NULL
        )
    )
    WHERE :segment::text IS NOT NULL
    UNION ALL
    SELECT least(
        (
            SELECT min(segment) FROM crm_deals
            WHERE workspace_id = :workspace AND deleted_at IS NULL AND segment > segments.name
        ),
        (
            SELECT min(segment) FROM crm_accounts
            WHERE workspace_id = :workspace AND deleted_at IS NULL AND segment > segments.name
        )
    )
    FROM segments
    WHERE segments.name IS NOT NULL
),
known (filter, id, name, also) AS (
    SELECT 'pipeline', id, name, NULL FROM crm_pipelines
    WHERE workspace_id = :workspace AND deleted_at IS NULL AND :pipeline::text IS NOT NULL
    UNION ALL
    SELECT 'stage', s.id, s.name, NULL FROM crm_stages s
    JOIN crm_pipelines p ON p.workspace_id = s.workspace_id AND p.id = s.pipeline_id
        AND p.deleted_at IS NULL
    WHERE s.workspace_id = :workspace AND :stage::text IS NOT NULL
    UNION ALL
    SELECT 'owner', id, name, email FROM crm_owners
    WHERE workspace_id = :workspace AND deleted_at IS NULL AND :owner::text IS NOT NULL
    UNION ALL
    SELECT 'segment', name, name, NULL FROM segments WHERE name IS NOT NULL
    UNION ALL
    SELECT DISTINCT 'category', forecast_category, forecast_category, NULL FROM crm_deals
    WHERE workspace_id = :workspace AND outcome = 'open' AND deleted_at IS NULL
        AND forecast_category IS NOT NULL AND :category::text IS NOT NULL
)
SELECT jsonb_object_agg(asked.filter, jsonb_build_object(
    'ids', (
        SELECT coalesce(jsonb_agg(DISTINCT known.id), '[]') FROM known
        WHERE known.filter = asked.filter
            AND lower(trim(asked.word)) IN (lower(known.id), lower(known.name), lower(known.also))
    ),
    'known', (
        SELECT coalesce(jsonb_agg(names.name), '[]')
        FROM (
            SELECT DISTINCT known.name FROM known WHERE known.filter = asked.filter
            ORDER BY known.name LIMIT 200
        ) AS names
    )
))
FROM (VALUES
    ('pipeline', :pipeline::text), ('stage', :stage), ('owner', :owner), ('segment', :segment),
    ('category', :category)
) AS asked (filter, word)
WHERE asked.word IS NOT NULL
