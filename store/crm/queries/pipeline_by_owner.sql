WITH sums AS (
    SELECT d.owner_id, d.currency, count(*) AS deals, coalesce(sum(d.amount), 0) AS amount,
        coalesce(round(sum(d.amount * s.probability::numeric), 2), 0) AS weighted
    FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
    LEFT JOIN crm_stages s ON s.workspace_id = :workspace AND s.pipeline_id = d.pipeline_id
        AND s.id = d.stage_id
    WHERE d.outcome = 'open'
    GROUP BY d.owner_id, d.currency
),
owners AS (
    SELECT g.owner_id, o.name AS owner, o.team, g.deals, g.amounts
    FROM (
        SELECT owner_id, sum(deals) AS deals,
            jsonb_agg(to_jsonb(sums) - 'owner_id' ORDER BY currency NULLS LAST) AS amounts
        FROM sums
        GROUP BY owner_id
    ) AS g
    LEFT JOIN crm_owners o ON o.workspace_id = :workspace AND o.id = g.owner_id
        AND o.deleted_at IS NULL
),
page AS (
    SELECT * FROM owners ORDER BY deals DESC, owner_id LIMIT :limit OFFSET :offset
)
SELECT jsonb_build_object(
    'owners', (
        SELECT coalesce(jsonb_agg(to_jsonb(page) ORDER BY deals DESC, owner_id), '[]') FROM page
    ),
    'total', (SELECT count(*) FROM owners),
    'more', (SELECT count(*) FROM owners) > :offset::bigint + :limit::bigint,
    'amounts', (
        SELECT coalesce(jsonb_agg(to_jsonb(summed) ORDER BY summed.currency NULLS LAST), '[]')
        FROM (
            SELECT currency, sum(deals) AS deals, sum(amount) AS amount, sum(weighted) AS weighted
            FROM sums GROUP BY currency
        ) AS summed
    )
)
