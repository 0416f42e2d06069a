-- deals
WITH usual AS (
    SELECT d.pipeline_id, v.stage_id,
        percentile_cont(0.5) WITHIN GROUP (
            ORDER BY extract(epoch FROM v.left_at - v.entered_at) / 86400
        ) AS days
    FROM crm_stage_visits v
    JOIN crm_deals d ON d.workspace_id = :workspace AND d.id = v.deal_id AND d.deleted_at IS NULL
    WHERE v.workspace_id = :workspace AND v.left_at >= now() - interval '365 days'
    GROUP BY d.pipeline_id, v.stage_id
    HAVING count(*) >= 5
),
large AS (
    SELECT currency, percentile_cont(0.75) WITHIN GROUP (ORDER BY amount) AS amount
    FROM crm_deals
    WHERE workspace_id = :workspace AND outcome = 'open' AND deleted_at IS NULL
    GROUP BY currency
),
facts AS (
    SELECT d.*, quiet.days AS quiet_days, c.today - d.close_date AS days_overdue, people.contacts,
        moved.pushes, cut.percent AS cut_percent, usual.days AS usual_days,
        extract(epoch FROM now() - d.stage_since) / 86400 AS stage_days,
        late.id IS NOT NULL OR coalesce(d.amount >= large.amount, false) AS counts_more
    FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
    JOIN crm_calendar c ON c.workspace_id = :workspace
    LEFT JOIN usual ON usual.pipeline_id = d.pipeline_id AND usual.stage_id = d.stage_id
    LEFT JOIN large ON large.currency IS NOT DISTINCT FROM d.currency
    LEFT JOIN crm_late_stages late ON late.workspace_id = :workspace
        AND late.pipeline_id = d.pipeline_id AND late.id = d.stage_id
    CROSS JOIN LATERAL crm_last_touch(:workspace, d.id) touch
    CROSS JOIN LATERAL (
        SELECT c.today - (coalesce(touch.at, d.created_at) AT TIME ZONE c.timezone)::date AS days
    ) AS quiet
    CROSS JOIN LATERAL (
        SELECT count(*) AS contacts
        FROM crm_deal_contacts k
        JOIN crm_contacts p ON p.workspace_id = k.workspace_id AND p.id = k.contact_id
            AND p.deleted_at IS NULL
        WHERE k.workspace_id = :workspace AND k.deal_id = d.id
    ) AS people
    CROSS JOIN LATERAL (
        SELECT count(*) AS pushes
        FROM crm_deal_changes
        WHERE workspace_id = :workspace AND deal_id = d.id AND field = 'close_date'
            AND new_value::date > old_value::date
    ) AS moved
    CROSS JOIN LATERAL (
        SELECT round(100 * (1 - d.amount / nullif((
            array_agg(coalesce(old_value, new_value)::numeric ORDER BY at)
        )[1], 0))) AS percent
        FROM crm_deal_changes
        WHERE workspace_id = :workspace AND deal_id = d.id AND field = 'amount'
            AND at >= (c.today - 59)::timestamp AT TIME ZONE c.timezone
    ) AS cut
    WHERE d.outcome = 'open'
),
scored AS (
    SELECT facts.id, facts.amount, facts.currency, risk.score, risk.reasons
    FROM facts
    CROSS JOIN LATERAL (
        SELECT least(sum(points), 100) AS score,
            jsonb_agg(jsonb_build_object('kind', kind, 'points', points, 'detail', detail)
                ORDER BY points DESC, kind) AS reasons,
            array_agg(kind) AS kinds
        FROM (VALUES
            ('stale', 25, quiet_days >= 14, format('no activity for %s days', quiet_days)),
            ('slipped', 25, days_overdue > 0, format(
                'close date passed %s days ago', days_overdue
            )),
            ('stuck', 15, stage_days > 2 * usual_days, format(
                '%s days in its stage, where deals usually stay %s', round(stage_days),
                round(usual_days::numeric, 1)
            )),
            ('pushed', 15, pushes >= 3, format('close date moved later %s times', pushes)),
            ('amount_cut', 15, cut_percent >= 30, format(
                'amount fell by %s %% within 60 days', cut_percent
            )),
            ('single_threaded', 15, counts_more AND contacts <= 1, format(
                'late or large, with %s contact', CASE contacts WHEN 0 THEN 'no' ELSE 'one' END
            )),
            ('no_next_step', 10, next_step IS NULL, 'no next step'),
            ('missing_fields', 10, coalesce(amount, 0) = 0 OR close_date IS NULL, concat_ws(
                ' and ',
                CASE WHEN coalesce(amount, 0) = 0 THEN 'no amount' END,
                CASE WHEN close_date IS NULL THEN 'no close date' END
            ))
        ) AS rules (kind, points, holds, detail)
        WHERE holds
        HAVING count(*) > 0
    ) AS risk
    WHERE risk.score >= :min_score::int AND (:kinds::text[] IS NULL OR risk.kinds && :kinds)
)
SELECT *, row_number() OVER (ORDER BY score DESC, amount DESC NULLS LAST, id) AS place FROM scored
