WITH span AS (
    SELECT * FROM crm_span(:workspace, :period, :since, :until)
),
deals AS (
    SELECT d.outcome, d.currency, d.amount, d.amount * s.probability::numeric AS weighted,
        d.outcome = 'open' AND d.close_date < span.today AS overdue,
        CASE d.outcome WHEN 'open' THEN coalesce(d.forecast_category, 'none') END AS category
    FROM span
    JOIN crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
        ON d.outcome = 'open' AND d.close_date BETWEEN span.first_day AND span.last_day
        OR d.outcome = 'won' AND d.closed_at >= span.begins AND d.closed_at < span.ends
    LEFT JOIN crm_stages s ON s.workspace_id = :workspace AND s.pipeline_id = d.pipeline_id
        AND s.id = d.stage_id
),
sums AS (
    SELECT category, currency, count(*) AS deals, coalesce(sum(amount), 0) AS amount,
        coalesce(round(sum(weighted), 2), 0) AS weighted
    FROM deals
    WHERE outcome = 'open'
    GROUP BY category, currency
)
SELECT jsonb_build_object(
    'since', (SELECT first_day FROM span),
    'until', (SELECT last_day FROM span),
    'categories', (
        SELECT coalesce(jsonb_agg(to_jsonb(grouped) ORDER BY grouped.category), '[]')
        FROM (
            SELECT category, sum(deals) AS deals,
                jsonb_agg(to_jsonb(sums) - 'category' ORDER BY currency NULLS LAST) AS amounts
            FROM sums GROUP BY category
        ) AS grouped
    ),
    'amounts', (
        SELECT coalesce(jsonb_agg(to_jsonb(summed) ORDER BY summed.currency NULLS LAST), '[]')
        FROM (
            SELECT currency,
                count(*) FILTER (WHERE outcome = 'won') AS won_deals,
                coalesce(sum(amount) FILTER (WHERE outcome = 'won'), 0) AS won,
                count(*) FILTER (WHERE outcome = 'open') AS open_deals,
                coalesce(sum(amount) FILTER (WHERE outcome = 'open'), 0) AS open,
                coalesce(sum(amount) FILTER (WHERE overdue), 0) AS overdue,
                coalesce(round(sum(weighted) FILTER (WHERE outcome = 'open'), 2), 0) AS weighted,
                coalesce(round(sum(CASE outcome WHEN 'won' THEN amount ELSE weighted END), 2), 0)
                    AS expected
            FROM deals
            GROUP BY currency
        ) AS summed
    )
)
