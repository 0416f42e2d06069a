WITH found AS (
    SELECT d.id, d.amount
    FROM crm_chosen(:workspace, :pipelines, :owners, :segments, :min_amount) d
    WHERE CASE WHEN :deal_id::text IS NULL THEN d.outcome = 'open' ELSE d.id = :deal_id END
        AND (:without_role::text IS NULL OR NOT EXISTS (
            SELECT FROM crm_deal_contacts k
            JOIN crm_contacts p ON p.workspace_id = :workspace AND p.id = k.contact_id
                AND p.deleted_at IS NULL
            WHERE k.workspace_id = :workspace AND k.deal_id = d.id
                AND lower(k.role) = lower(trim(:without_role))
            OFFSET 0
        ))
),
page AS (
    SELECT * FROM found ORDER BY amount DESC NULLS LAST, id LIMIT :limit OFFSET :offset
)
SELECT jsonb_build_object(
    'deals', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'deal_id', card.deal_id, 'name', card.name, 'stage', card.stage,
            'amount', card.amount, 'currency', card.currency, 'owner', card.owner,
            'account', card.account,
            'contacts', (
                SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'contact_id', p.id, 'name', p.name, 'title', p.title, 'email', p.email,
                    'role', k.role
                ) ORDER BY k.role, p.name, p.id), '[]')
                FROM (
                    SELECT contact_id, role FROM crm_deal_contacts
                    WHERE workspace_id = :workspace AND deal_id = card.deal_id
                    ORDER BY contact_id LIMIT 15
                ) AS k
                JOIN crm_contacts p ON p.workspace_id = :workspace AND p.id = k.contact_id
                    AND p.deleted_at IS NULL
            )
        ) ORDER BY card.amount DESC NULLS LAST, card.deal_id), '[]')
        FROM page
        JOIN crm_cards card ON card.workspace_id = :workspace AND card.deal_id = page.id
    ),
    'total', (SELECT count(*) FROM found),
    'more', (SELECT count(*) FROM found) > :offset::bigint + :limit::bigint,
    'roles', (
        SELECT coalesce(jsonb_agg(to_jsonb(counted)
            ORDER BY counted.deals DESC, counted.role), '[]')
        FROM (
            SELECT lower(known.role) AS role, count(DISTINCT found.id) AS deals,
                count(DISTINCT known.contact_id) AS contacts
            FROM found
            CROSS JOIN LATERAL (
                SELECT k.role, k.contact_id FROM crm_deal_contacts k
                JOIN crm_contacts p ON p.workspace_id = :workspace AND p.id = k.contact_id
                    AND p.deleted_at IS NULL
                WHERE k.workspace_id = :workspace AND k.deal_id = found.id
                OFFSET 0
            ) AS known
            GROUP BY lower(known.role)
        ) AS counted
    )
)
