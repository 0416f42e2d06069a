-- deals
WITH large AS (
    SELECT currency, percentile_cont(0.75) WITHIN GROUP (ORDER BY amount) AS amount
    FROM crm_deals
    WHERE workspace_id = :workspace AND outcome = 'open' AND deleted_at IS NULL
    GROUP BY currency
)
SELECT d.id, d.amount, d.currency, people.contacts,
    array_remove(ARRAY[
        CASE WHEN late.id IS NOT NULL THEN 'late_stage' END,
        CASE WHEN d.amount >= bar.amount THEN 'large' END
    ], NULL) AS why,
    row_number() OVER (ORDER BY d.amount DESC NULLS LAST, d.id) AS place
FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
LEFT JOIN crm_late_stages late ON late.workspace_id = :workspace
    AND late.pipeline_id = d.pipeline_id AND late.id = d.stage_id
LEFT JOIN large ON large.currency IS NOT DISTINCT FROM d.currency
CROSS JOIN LATERAL (SELECT coalesce(:large_amount::float8, large.amount) AS amount) AS bar
CROSS JOIN LATERAL (
    SELECT count(*) AS contacts
    FROM crm_deal_contacts k
    JOIN crm_contacts p ON p.workspace_id = k.workspace_id AND p.id = k.contact_id
        AND p.deleted_at IS NULL
    WHERE k.workspace_id = :workspace AND k.deal_id = d.id
) AS people
WHERE d.outcome = 'open' AND (late.id IS NOT NULL OR d.amount >= bar.amount)
    AND people.contacts <= :max_contacts::int
