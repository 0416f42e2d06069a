WITH span AS (
    SELECT * FROM crm_span(:workspace, :period, :since, :until)
),
found AS (
    SELECT v.id, v.at
    FROM span
    JOIN crm_conversations v ON v.at >= span.begins AND v.at < span.ends
    WHERE v.workspace_id = :workspace AND v.deleted_at IS NULL
        AND (:account_id::text IS NULL OR v.account_id = :account_id)
        AND (:owners::text[] IS NULL OR v.owner_id = ANY (:owners))
        AND (:deal_id::text IS NULL OR v.id = ANY (ARRAY(
            SELECT l.conversation_id FROM crm_conversation_deals l
            WHERE l.workspace_id = :workspace AND l.deal_id = :deal_id
        )))
),
sized AS (
    SELECT v.id, row_number() OVER latest AS place,
        sum(octet_length(left(v.transcript, :max_chars::int)) + 4000) OVER latest AS bytes
    FROM (SELECT * FROM found ORDER BY at DESC, id LIMIT :limit OFFSET :offset) AS latest_ones
    JOIN crm_conversations v ON v.workspace_id = :workspace AND v.id = latest_ones.id
    WINDOW latest AS (ORDER BY v.at DESC, v.id)
),
page AS (
    SELECT id FROM sized WHERE place = 1 OR bytes <= 1000000
)
SELECT jsonb_build_object(
    'since', (SELECT first_day FROM span),
    'until', (SELECT last_day FROM span),
    'conversations', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'conversation_id', v.id, 'kind', v.kind, 'title', v.title, 'at', v.at,
            'participants', v.participants, 'owner_id', v.owner_id, 'owner', o.name,
            'account_id', v.account_id, 'account', a.name, 'url', v.url,
            'deals', (
                SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'deal_id', d.id, 'name', d.name, 'outcome', d.outcome
                ) ORDER BY d.id), '[]')
                FROM crm_conversation_deals l
                JOIN crm_deals d ON d.workspace_id = :workspace AND d.id = l.deal_id
                    AND d.deleted_at IS NULL
                WHERE l.workspace_id = :workspace AND l.conversation_id = v.id
            ),
            'summary', left(v.summary, 2000),
            'transcript', left(v.transcript, :max_chars::int),
            'transcript_chars', length(v.transcript)
        ) ORDER BY v.at DESC, v.id), '[]')
        FROM page
        JOIN crm_conversations v ON v.workspace_id = :workspace AND v.id = page.id
        LEFT JOIN crm_owners o ON o.workspace_id = :workspace AND o.id = v.owner_id
            AND o.deleted_at IS NULL
        LEFT JOIN crm_accounts a ON a.workspace_id = :workspace AND a.id = v.account_id
            AND a.deleted_at IS NULL
    ),
    'total', (SELECT count(*) FROM found),
    'more', (SELECT count(*) FROM found) > :offset::bigint + (SELECT count(*) FROM page)
)
