WITH sums AS (
    SELECT d.segment, d.currency, count(*) AS deals, coalesce(sum(d.amount), 0) AS amount,
        coalesce(round(sum(d.amount * s.probability::numeric), 2), 0) AS weighted
    FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
    LEFT JOIN crm_stages s ON s.workspace_id = :workspace AND s.pipeline_id = d.pipeline_id
        AND s.id = d.stage_id
    WHERE d.outcome = 'open'
    GROUP BY d.segment, d.currency
),
segments AS (
    SELECT segment, sum(deals) AS deals,
        jsonb_agg(to_jsonb(sums) - 'segment' ORDER BY currency NULLS LAST) AS amounts
    FROM sums
    GROUP BY segment
),
page AS (
    SELECT * FROM segments ORDER BY deals DESC, segment LIMIT :limit OFFSET :offset
)
SELECT jsonb_build_object(
    'segments', (
        SELECT coalesce(jsonb_agg(to_jsonb(page) ORDER BY deals DESC, segment), '[]') FROM page
    ),
    'total', (SELECT count(*) FROM segments),
    'more', (SELECT count(*) FROM segments) > :offset::bigint + :limit::bigint,
    'amounts', (
        SELECT coalesce(jsonb_agg(to_jsonb(summed) ORDER BY summed.currency NULLS LAST), '[]')
        FROM (
            SELECT currency, sum(deals) AS deals, sum(amount) AS amount, sum(weighted) AS weighted
            FROM sums GROUP BY currency
        ) AS summed
    )
)
