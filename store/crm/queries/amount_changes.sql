-- deals
SELECT d.id, d.amount, d.currency, changed.before AS amount_before, d.amount AS amount_now,
    d.amount - changed.before AS change, changed.percent AS change_percent, changed.changes,
    (changed.last_at AT TIME ZONE c.timezone)::date AS last_changed_on,
    row_number() OVER (ORDER BY abs(d.amount - changed.before) DESC, d.id) AS place
FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
JOIN crm_calendar c ON c.workspace_id = :workspace
CROSS JOIN LATERAL (
    SELECT before, changes, last_at,
        round(100 * (d.amount - before) / nullif(before, 0), 1) AS percent
    FROM (
        SELECT (array_agg(coalesce(old_value, new_value)::numeric ORDER BY at))[1]
                AS before,
            count(*) AS changes, max(at) AS last_at
        FROM crm_deal_changes
        WHERE workspace_id = :workspace AND deal_id = d.id AND field = 'amount'
            AND at >= (c.today - :days::int + 1)::timestamp AT TIME ZONE c.timezone
    ) AS since
) AS changed
WHERE d.outcome = 'open' AND d.amount <> changed.before
    AND CASE :direction::text
        WHEN 'cut' THEN d.amount < changed.before
        WHEN 'raise' THEN d.amount > changed.before
        ELSE true
    END
    -- From nothing to something is more than any percentage.
    AND (changed.percent IS NULL OR abs(changed.percent) >= :min_percent::float8)
