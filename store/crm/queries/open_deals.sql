-- deals
SELECT d.id, d.amount, d.currency,
    row_number() OVER (ORDER BY
        CASE :order_by::text WHEN 'amount' THEN -d.amount END NULLS LAST,
        CASE :order_by WHEN 'close_date' THEN d.close_date END NULLS LAST,
        CASE :order_by WHEN 'time_in_stage' THEN d.stage_since END NULLS LAST,
        d.id
    ) AS place
FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
JOIN crm_calendar c ON c.workspace_id = :workspace
WHERE d.outcome = 'open'
    AND (:stages::text[] IS NULL OR d.stage_id = ANY (:stages))
    AND (:categories::text[] IS NULL OR d.forecast_category = ANY (:categories))
    AND (:closing_from::date IS NULL OR d.close_date >= :closing_from)
    AND (:closing_until::date IS NULL OR d.close_date <= :closing_until)
    AND (
        :in_stage_since::date IS NULL
        OR d.stage_since >= :in_stage_since::timestamp AT TIME ZONE c.timezone
    )
