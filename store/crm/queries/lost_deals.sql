-- deals
SELECT d.id, d.amount, d.currency, d.lost_reason, ended.day AS closed_on,
    ended.day - (d.created_at AT TIME ZONE s.timezone)::date AS cycle_days,
    row_number() OVER (ORDER BY ended.day DESC, d.id) AS place
FROM crm_span(:workspace, :period, :since, :until) s
JOIN crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
    ON d.closed_at >= s.begins AND d.closed_at < s.ends
        OR d.closed_at IS NULL AND d.close_date BETWEEN s.first_day AND s.last_day
CROSS JOIN LATERAL (
    SELECT coalesce((d.closed_at AT TIME ZONE s.timezone)::date, d.close_date) AS day
) AS ended
WHERE d.outcome = 'lost'
