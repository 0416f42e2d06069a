-- deals
SELECT d.id, d.amount, d.currency, c.today - d.close_date AS days_overdue,
    row_number() OVER (ORDER BY d.close_date, d.id) AS place
FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
JOIN crm_calendar c ON c.workspace_id = :workspace
WHERE d.outcome = 'open' AND d.close_date <= c.today - :days::int
