-- deals
SELECT d.id, d.amount, d.currency, gaps.longest AS longest_gap_days, gaps.began AS gap_began_on,
    nullif(gaps.ended, c.today) AS gap_ended_on, gaps.many AS gaps, gaps.activities,
    row_number() OVER (ORDER BY gaps.longest DESC, d.id) AS place
FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
JOIN crm_calendar c ON c.workspace_id = :workspace
CROSS JOIN LATERAL (
    SELECT greatest(c.today - :days::int, (d.created_at AT TIME ZONE c.timezone)::date) AS day
) AS first
CROSS JOIN LATERAL (
    SELECT max(day - before) AS longest, count(*) FILTER (WHERE day - before >= :min_gap) AS many,
        count(*) - 1 AS activities,
        (array_agg(before ORDER BY day - before DESC, day DESC))[1] AS began,
        (array_agg(day ORDER BY day - before DESC, day DESC))[1] AS ended
    FROM (
        SELECT day, coalesce(lag(day) OVER (ORDER BY day), first.day) AS before
        FROM (
            SELECT (l.at AT TIME ZONE c.timezone)::date AS day
            FROM crm_activity_deals l
            WHERE l.workspace_id = :workspace AND l.deal_id = d.id AND l.at <= now()
                AND l.at >= first.day::timestamp AT TIME ZONE c.timezone
            UNION ALL
            SELECT c.today
        ) AS days
    ) AS steps
) AS gaps
WHERE d.outcome = 'open' AND gaps.longest >= :min_gap::int
