WITH quotas AS (
    SELECT q.id, q.owner_id, q.pipeline_id, q.starts_on, q.ends_on, q.amount, q.currency,
        c.today, c.timezone
    FROM crm_quotas q
    JOIN crm_calendar c ON c.workspace_id = :workspace
    WHERE q.workspace_id = :workspace AND q.deleted_at IS NULL
        AND coalesce(:day::date, c.today) BETWEEN q.starts_on AND q.ends_on
        AND (:owners::text[] IS NULL OR q.owner_id = ANY (:owners))
        AND (:pipelines::text[] IS NULL OR q.pipeline_id = ANY (:pipelines))
),
span AS (
    SELECT min(starts_on) AS first_day, max(ends_on) AS last_day,
        min(starts_on)::timestamp AT TIME ZONE min(timezone) AS begins,
        (max(ends_on) + 1)::timestamp AT TIME ZONE min(timezone) AS ends,
        min(timezone) AS timezone
    FROM quotas
),
deals AS MATERIALIZED (
    SELECT d.outcome, d.owner_id, d.pipeline_id, d.currency, d.amount,
        d.amount * s.probability::numeric AS weighted,
        CASE d.outcome
            WHEN 'open' THEN d.close_date
            ELSE (d.closed_at AT TIME ZONE span.timezone)::date
        END AS day
    FROM span
    JOIN crm_chosen(:workspace, NULL, NULL, NULL, NULL) d
        ON d.outcome = 'open' AND d.close_date BETWEEN span.first_day AND span.last_day
        OR d.outcome = 'won' AND d.closed_at >= span.begins AND d.closed_at < span.ends
    LEFT JOIN crm_stages s ON s.workspace_id = :workspace AND s.pipeline_id = d.pipeline_id
        AND s.id = d.stage_id
),
reached AS (
    SELECT q.*, sums.*, greatest(q.amount - sums.won, 0) AS remaining
    FROM quotas q
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(d.amount) FILTER (WHERE same AND outcome = 'won'), 0) AS won,
            coalesce(sum(d.amount) FILTER (WHERE same AND outcome = 'open'), 0) AS open,
            coalesce(sum(d.amount) FILTER (
                WHERE same AND outcome = 'open' AND d.day < q.today
            ), 0) AS overdue,
            coalesce(round(sum(d.weighted) FILTER (WHERE same AND outcome = 'open'), 2), 0)
                AS weighted,
            count(*) FILTER (WHERE same AND outcome = 'open') AS open_deals,
            count(*) FILTER (WHERE NOT same) AS deals_in_other_currencies
        FROM deals d
        CROSS JOIN LATERAL (SELECT d.currency IS NOT DISTINCT FROM q.currency AS same) AS money
        WHERE d.day BETWEEN q.starts_on AND q.ends_on
            AND (q.owner_id IS NULL OR d.owner_id = q.owner_id)
            AND (q.pipeline_id IS NULL OR d.pipeline_id = q.pipeline_id)
    ) AS sums
),
told AS (
    SELECT r.id AS quota_id, r.owner_id, o.name AS owner, r.pipeline_id, p.name AS pipeline,
        r.starts_on, r.ends_on, r.currency, r.amount AS quota, r.won, r.remaining, r.open,
        r.overdue, r.weighted, r.open_deals,
        round(r.won / nullif(r.amount, 0), 3) AS attainment,
        round(r.open / nullif(r.remaining, 0), 2) AS coverage, r.deals_in_other_currencies
    FROM reached r
    LEFT JOIN crm_owners o ON o.workspace_id = :workspace AND o.id = r.owner_id
        AND o.deleted_at IS NULL
    LEFT JOIN crm_pipelines p ON p.workspace_id = :workspace AND p.id = r.pipeline_id
        AND p.deleted_at IS NULL
),
page AS (
    SELECT *, row_number() OVER (
        ORDER BY owner_id IS NOT NULL, coverage NULLS LAST, quota DESC, quota_id
    ) AS place
    FROM told
    ORDER BY place
    LIMIT :limit OFFSET :offset
)
SELECT jsonb_build_object(
    'quotas', (
        SELECT coalesce(jsonb_agg(to_jsonb(page) - 'place' ORDER BY place), '[]') FROM page
    ),
    'total', (SELECT count(*) FROM told),
    'more', (SELECT count(*) FROM told) > :offset::bigint + :limit::bigint
)
