-- deals
SELECT d.id, d.amount, d.currency, moved.pushes, moved.days_pushed, moved.first_close_date,
    (moved.last_at AT TIME ZONE c.timezone)::date AS last_pushed_on,
    row_number() OVER (ORDER BY moved.pushes DESC, moved.days_pushed DESC, d.id) AS place
FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
JOIN crm_calendar c ON c.workspace_id = :workspace
CROSS JOIN LATERAL (
    SELECT count(*) AS pushes, sum(new_value::date - old_value::date) AS days_pushed,
        (array_agg(old_value::date ORDER BY at))[1] AS first_close_date, max(at) AS last_at
    FROM crm_deal_changes
    WHERE workspace_id = :workspace AND deal_id = d.id AND field = 'close_date'
        AND new_value::date > old_value::date
        AND (:days::int IS NULL OR at >= (c.today - :days + 1)::timestamp AT TIME ZONE c.timezone)
) AS moved
WHERE d.outcome = 'open' AND moved.pushes >= :min_pushes::int
