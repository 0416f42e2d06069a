-- Around a query that finds deals: a page of their cards, with what else the query tells of each.
WITH found AS (
    {query}
),
page AS (
    SELECT * FROM found ORDER BY place LIMIT :limit OFFSET :offset
)
SELECT jsonb_build_object(
    'as_of', (SELECT today FROM crm_calendar WHERE workspace_id = :workspace),
    'deals', (
        SELECT coalesce(jsonb_agg(
            to_jsonb(card) - 'workspace_id'
                || (to_jsonb(page) - '{id,place,amount,currency}'::text[])
            ORDER BY page.place
        ), '[]')
        FROM page
        JOIN crm_cards card ON card.workspace_id = :workspace AND card.deal_id = page.id
    ),
    'total', (SELECT count(*) FROM found),
    'more', (SELECT count(*) FROM found) > :offset::bigint + :limit::bigint,
    'amounts', (
        SELECT coalesce(jsonb_agg(to_jsonb(summed) ORDER BY summed.currency NULLS LAST), '[]')
        FROM (
            SELECT currency, count(*) AS deals, coalesce(sum(amount), 0) AS amount
            FROM found GROUP BY currency
        ) AS summed
    )
)
