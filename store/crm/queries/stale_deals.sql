-- deals
SELECT d.id, d.amount, d.currency, quiet.days AS quiet_days,
    (planned.at AT TIME ZONE c.timezone)::date AS next_activity_on,
    row_number() OVER (ORDER BY quiet.days DESC, d.id) AS place
FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
JOIN crm_calendar c ON c.workspace_id = :workspace
CROSS JOIN LATERAL crm_last_touch(:workspace, d.id) touch
CROSS JOIN LATERAL (
    SELECT c.today - (coalesce(touch.at, d.created_at) AT TIME ZONE c.timezone)::date AS days
) AS quiet
CROSS JOIN LATERAL (
    SELECT min(l.at) AS at FROM crm_activity_deals l
    WHERE l.workspace_id = :workspace AND l.deal_id = d.id AND l.at > now()
) AS planned
WHERE d.outcome = 'open' AND quiet.days >= :days::int
