WITH hits AS (
    (
        SELECT 'deal' AS kind, d.id, d.name, d.url, d.outcome <> 'open' AS over
        FROM crm_deals d
        WHERE 'deal' = ANY (:kinds::text[]) AND d.workspace_id = :workspace
            AND d.deleted_at IS NULL
            AND crm_words(d.workspace_id, d.name) @@ crm_asked(:workspace, :text)
        ORDER BY d.outcome <> 'open', d.id LIMIT 1000
    )
    UNION ALL
    (
        SELECT 'account', a.id, a.name, a.url, false
        FROM crm_accounts a
        WHERE 'account' = ANY (:kinds) AND a.workspace_id = :workspace AND a.deleted_at IS NULL
            AND crm_words(a.workspace_id, a.name || ' ' || coalesce(a.domain, ''))
                @@ crm_asked(:workspace, :text)
        ORDER BY a.id LIMIT 1000
    )
    UNION ALL
    (
        SELECT 'contact', p.id, p.name, p.url, false
        FROM crm_contacts p
        WHERE 'contact' = ANY (:kinds) AND p.workspace_id = :workspace AND p.deleted_at IS NULL
            AND crm_words(
                p.workspace_id,
                p.name || ' ' || coalesce(p.email, '') || ' '
                    || replace(coalesce(p.email, ''), '@', ' ')
            ) @@ crm_asked(:workspace, :text)
        ORDER BY p.id LIMIT 1000
    )
    UNION ALL
    SELECT 'owner', o.id, o.name, NULL, false
    FROM crm_owners o
    WHERE 'owner' = ANY (:kinds) AND o.workspace_id = :workspace AND o.deleted_at IS NULL
        AND crm_words(o.workspace_id, o.name || ' ' || coalesce(o.email, ''))
            @@ crm_asked(:workspace, :text)
    UNION
    SELECT 'deal', d.id, d.name, d.url, d.outcome <> 'open' FROM crm_deals d
    WHERE 'deal' = ANY (:kinds) AND d.workspace_id = :workspace AND d.id = :text
        AND d.deleted_at IS NULL
    UNION
    SELECT 'account', a.id, a.name, a.url, false FROM crm_accounts a
    WHERE 'account' = ANY (:kinds) AND a.workspace_id = :workspace AND a.id = :text
        AND a.deleted_at IS NULL
    UNION
    SELECT 'contact', p.id, p.name, p.url, false FROM crm_contacts p
    WHERE 'contact' = ANY (:kinds) AND p.workspace_id = :workspace AND p.id = :text
        AND p.deleted_at IS NULL
),
page AS (
    SELECT *, row_number() OVER (
        ORDER BY lower(name) = lower(trim(:text)) DESC, over,
            array_position(ARRAY['deal', 'account', 'contact', 'owner'], kind), name, id
    ) AS place
    FROM hits
    ORDER BY place
    LIMIT :limit OFFSET :offset
)
SELECT jsonb_build_object(
    'results', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'kind', page.kind, 'id', page.id, 'name', page.name, 'url', page.url,
            'detail', nullif(CASE page.kind
                WHEN 'deal' THEN (
                    SELECT concat_ws(', ', card.stage, card.account) FROM crm_cards card
                    WHERE card.workspace_id = :workspace AND card.deal_id = page.id
                )
                WHEN 'account' THEN (
                    SELECT a.domain FROM crm_accounts a
                    WHERE a.workspace_id = :workspace AND a.id = page.id
                )
                WHEN 'contact' THEN (
                    SELECT concat_ws(', ', p.title, a.name) FROM crm_contacts p
                    LEFT JOIN crm_accounts a ON a.workspace_id = :workspace
                        AND a.id = p.account_id AND a.deleted_at IS NULL
                    WHERE p.workspace_id = :workspace AND p.id = page.id
                )
                ELSE (
                    SELECT o.team FROM crm_owners o
                    WHERE o.workspace_id = :workspace AND o.id = page.id
                )
            END, '')
        ) ORDER BY page.place), '[]')
        FROM page
    ),
    'total', (SELECT count(*) FROM hits),
    'more', (SELECT count(*) FROM hits) > :offset::bigint + :limit::bigint
)
