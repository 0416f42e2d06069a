-- deals
SELECT d.id, d.amount, d.currency, d.lost_reason,
    (d.closed_at AT TIME ZONE s.timezone)::date AS closed_on,
    (d.closed_at AT TIME ZONE s.timezone)::date
        - (d.created_at AT TIME ZONE s.timezone)::date AS cycle_days,
    row_number() OVER (ORDER BY d.closed_at DESC, d.id) AS place
FROM crm_span(:workspace, :period, :since, :until) s
JOIN crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
    ON d.closed_at >= s.begins AND d.closed_at < s.ends
WHERE d.outcome = 'lost'
