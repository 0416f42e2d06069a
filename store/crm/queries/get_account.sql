SELECT jsonb_build_object(
    'account', jsonb_build_object(
        'account_id', a.id, 'name', a.name, 'domain', a.domain, 'industry', a.industry,
        'segment', a.segment, 'employees', a.employees, 'owner_id', a.owner_id, 'owner', o.name,
        'url', a.url,
        'last_activity_on', (touch.at AT TIME ZONE c.timezone)::date,
        'days_since_activity', c.today - (touch.at AT TIME ZONE c.timezone)::date
    ),
    'contacts', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'contact_id', p.id, 'name', p.name, 'title', p.title, 'email', p.email, 'url', p.url
        ) ORDER BY p.name, p.id), '[]')
        FROM (
            SELECT * FROM crm_contacts
            WHERE workspace_id = :workspace AND account_id = a.id AND deleted_at IS NULL
            ORDER BY name, id LIMIT :limit
        ) AS p
    ),
    'open_deals', (
        SELECT coalesce(jsonb_agg(to_jsonb(card) - 'workspace_id'
            ORDER BY card.amount DESC NULLS LAST, card.deal_id), '[]')
        FROM (
            SELECT id FROM crm_deals
            WHERE workspace_id = :workspace AND account_id = a.id AND outcome = 'open'
                AND deleted_at IS NULL
            ORDER BY amount DESC NULLS LAST, id LIMIT :limit
        ) AS d
        JOIN crm_cards card ON card.workspace_id = :workspace AND card.deal_id = d.id
    ),
    'closed', (
        SELECT coalesce(jsonb_agg(to_jsonb(summed)
            ORDER BY summed.outcome DESC, summed.currency NULLS LAST), '[]')
        FROM (
            SELECT outcome, currency, count(*) AS deals, coalesce(sum(amount), 0) AS amount
            FROM crm_deals
            WHERE workspace_id = :workspace AND account_id = a.id AND outcome <> 'open'
                AND deleted_at IS NULL
            GROUP BY outcome, currency
        ) AS summed
    ),
    'activities', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'activity_id', l.id, 'at', l.at, 'kind', l.kind, 'direction', l.direction,
            'subject', l.subject, 'outcome', l.outcome
        ) ORDER BY l.at DESC, l.id), '[]')
        FROM (
            SELECT * FROM crm_activities
            WHERE workspace_id = :workspace AND account_id = a.id AND deleted_at IS NULL
            ORDER BY at DESC, id LIMIT :limit
        ) AS l
    ),
    'conversations', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'conversation_id', v.id, 'at', v.at, 'kind', v.kind, 'title', v.title,
            'summary', left(v.summary, 1000), 'url', v.url
        ) ORDER BY v.at DESC, v.id), '[]')
        FROM (
            SELECT id, at, kind, title, summary, url FROM crm_conversations
            WHERE workspace_id = :workspace AND account_id = a.id AND deleted_at IS NULL
            ORDER BY at DESC, id LIMIT :limit
        ) AS v
    )
)
FROM crm_accounts a
JOIN crm_calendar c ON c.workspace_id = a.workspace_id
LEFT JOIN crm_owners o ON o.workspace_id = a.workspace_id AND o.id = a.owner_id
    AND o.deleted_at IS NULL
CROSS JOIN LATERAL (
    SELECT max(last.at) AS at
    FROM (
        SELECT max(l.at) AS at FROM crm_activities l
        WHERE l.workspace_id = :workspace AND l.account_id = a.id AND l.deleted_at IS NULL
            AND l.at <= now()
        UNION ALL
        SELECT max(v.at) FROM crm_conversations v
        WHERE v.workspace_id = :workspace AND v.account_id = a.id AND v.deleted_at IS NULL
            AND v.at <= now()
        UNION ALL
        SELECT max(deal_touch.at)
        FROM crm_deals d
        CROSS JOIN LATERAL crm_last_touch(:workspace, d.id) deal_touch
        WHERE d.workspace_id = :workspace AND d.account_id = a.id AND d.deleted_at IS NULL
    ) AS last
) AS touch
WHERE a.workspace_id = :workspace AND a.id = :account_id AND a.deleted_at IS NULL
