-- deals
SELECT d.id, d.amount, d.currency, gaps.missing,
    row_number() OVER (
        ORDER BY cardinality(gaps.missing) DESC, d.amount DESC NULLS LAST, d.id
    ) AS place
FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
CROSS JOIN LATERAL (
    SELECT array_agg(field ORDER BY field) AS missing
    FROM (VALUES
        ('next_step', d.next_step IS NULL),
        ('amount', coalesce(d.amount, 0) = 0),
        ('close_date', d.close_date IS NULL),
        ('owner', d.owner_id IS NULL),
        ('account', d.account_id IS NULL),
        ('forecast_category', d.forecast_category IS NULL),
        ('contacts', NOT EXISTS (
            SELECT FROM crm_deal_contacts k
            JOIN crm_contacts p ON p.workspace_id = k.workspace_id AND p.id = k.contact_id
                AND p.deleted_at IS NULL
            WHERE k.workspace_id = :workspace AND k.deal_id = d.id
            OFFSET 0
        ))
    ) AS checked (field, is_missing)
    WHERE is_missing AND field = ANY (:fields::text[])
) AS gaps
WHERE d.outcome = 'open' AND gaps.missing IS NOT NULL
