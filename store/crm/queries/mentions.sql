WITH span AS (
    SELECT * FROM crm_span(:workspace, :period, :since, :until)
),
likely AS MATERIALIZED (
    SELECT v.id, v.at
    FROM span
    JOIN crm_conversations v ON v.at >= span.begins AND v.at < span.ends
    WHERE v.workspace_id = :workspace AND v.deleted_at IS NULL
        AND v.words @@ crm_asked(:workspace, :term)
        AND (:deal_id::text IS NULL OR v.id = ANY (ARRAY(
            SELECT l.conversation_id FROM crm_conversation_deals l
            WHERE l.workspace_id = :workspace AND l.deal_id = :deal_id
        )))
    ORDER BY v.at DESC, v.id
    LIMIT 2000
),
found AS (
    SELECT likely.id, likely.at
    FROM likely
    JOIN crm_conversations v ON v.workspace_id = :workspace AND v.id = likely.id
    WHERE concat_ws(E'\n', v.title, v.summary, v.transcript) ~* :pattern::text
),
page AS (
    SELECT id FROM found ORDER BY at DESC, id LIMIT :limit OFFSET :offset
)
SELECT jsonb_build_object(
    'since', (SELECT first_day FROM span),
    'until', (SELECT last_day FROM span),
    'mentions', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'conversation_id', v.id, 'kind', v.kind, 'title', v.title, 'at', v.at, 'url', v.url,
            'account_id', v.account_id, 'account', a.name,
            'deals', (
                SELECT coalesce(jsonb_agg(jsonb_build_object('deal_id', d.id, 'name', d.name)
                    ORDER BY d.id), '[]')
                FROM crm_conversation_deals l
                JOIN crm_deals d ON d.workspace_id = :workspace AND d.id = l.deal_id
                    AND d.deleted_at IS NULL
                WHERE l.workspace_id = :workspace AND l.conversation_id = v.id
            ),
            'hits', said.hits,
            'snippets', (
                SELECT jsonb_agg(trim(regexp_replace(
                    substr(said.words, greatest(place - 120, 1), least(place, 120) + 180),
                    '\s+', ' ', 'g'
                )) ORDER BY place)
                FROM generate_series(1, least(said.hits, 3)) AS hit
                CROSS JOIN LATERAL regexp_instr(said.words, :pattern, 1, hit, 0, 'i') AS place
            )
        ) ORDER BY v.at DESC, v.id), '[]')
        FROM page
        JOIN crm_conversations v ON v.workspace_id = :workspace AND v.id = page.id
        CROSS JOIN LATERAL (
            SELECT words, regexp_count(words, :pattern, 1, 'i') AS hits
            FROM concat_ws(E'\n', v.title, v.summary, v.transcript) AS words
        ) AS said
        LEFT JOIN crm_accounts a ON a.workspace_id = :workspace AND a.id = v.account_id
            AND a.deleted_at IS NULL
    ),
    'total', (SELECT count(*) FROM found),
    'more', (SELECT count(*) FROM found) > :offset::bigint + :limit::bigint
)
