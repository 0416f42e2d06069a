-- deals
SELECT d.id, d.amount, d.currency, (d.created_at AT TIME ZONE s.timezone)::date AS created_on,
    row_number() OVER (ORDER BY d.created_at DESC, d.id) AS place
FROM crm_span(:workspace, :period, :since, :until) s
JOIN crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
    ON d.created_at >= s.begins AND d.created_at < s.ends
