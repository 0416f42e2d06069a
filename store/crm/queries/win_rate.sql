WITH span AS (
    SELECT * FROM crm_span(:workspace, :period, :since, :until)
),
closed AS (
    SELECT d.outcome, d.currency, d.amount,
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
sums AS (
    SELECT key, currency, GROUPING(key) = 1 AS overall, GROUPING(currency) = 1 AS counted,
        count(*) FILTER (WHERE outcome = 'won') AS won,
        count(*) FILTER (WHERE outcome = 'lost') AS lost,
        coalesce(sum(amount) FILTER (WHERE outcome = 'won'), 0) AS won_amount,
        coalesce(sum(amount) FILTER (WHERE outcome = 'lost'), 0) AS lost_amount
    FROM closed
    GROUP BY GROUPING SETS ((), (currency), (key), (key, currency))
),
rates AS (
    SELECT counted.key, counted.overall, counted.won, counted.lost,
        jsonb_build_object(
            'won', counted.won, 'lost', counted.lost,
            'win_rate', round(counted.won::numeric / nullif(counted.won + counted.lost, 0), 3),
            'amounts', (
                SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'currency', s.currency, 'won', s.won_amount, 'lost', s.lost_amount,
                    'win_rate', round(s.won_amount / nullif(s.won_amount + s.lost_amount, 0), 3)
                ) ORDER BY s.currency NULLS LAST), '[]')
                FROM sums s
                WHERE NOT s.counted AND s.overall = counted.overall
                    AND s.key IS NOT DISTINCT FROM counted.key
            )
        ) AS rate
    FROM sums counted
    WHERE counted.counted
)
SELECT jsonb_build_object(
    'since', (SELECT first_day FROM span),
    'until', (SELECT last_day FROM span),
    'overall', (SELECT rate FROM rates WHERE overall),
    'groups', (
        SELECT coalesce(jsonb_agg(
            jsonb_build_object('key', r.key, 'name', coalesce(o.name, p.name, r.key)) || r.rate
            ORDER BY CASE :by WHEN 'month' THEN r.key END, r.won + r.lost DESC, r.key
        ), '[]')
        FROM rates r
        LEFT JOIN crm_owners o ON :by = 'owner' AND o.workspace_id = :workspace AND o.id = r.key
            AND o.deleted_at IS NULL
        LEFT JOIN crm_pipelines p ON :by = 'pipeline' AND p.workspace_id = :workspace
            AND p.id = r.key AND p.deleted_at IS NULL
        WHERE NOT r.overall AND :by <> 'nothing'
    )
)
