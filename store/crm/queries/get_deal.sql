SELECT jsonb_build_object(
    'deal', to_jsonb(card) - 'workspace_id' || jsonb_build_object(
        'segment', d.segment,
        'probability', (
            SELECT probability FROM crm_stages
            WHERE workspace_id = :workspace AND pipeline_id = d.pipeline_id AND id = d.stage_id
        ),
        'created_on', (d.created_at AT TIME ZONE c.timezone)::date,
        'closed_on', (d.closed_at AT TIME ZONE c.timezone)::date,
        'lost_reason', d.lost_reason
    ),
    'contacts', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'contact_id', p.id, 'name', p.name, 'title', p.title, 'email', p.email,
            'role', k.role
        ) ORDER BY k.role, p.name, p.id), '[]')
        FROM (
            SELECT * FROM crm_deal_contacts
            WHERE workspace_id = :workspace AND deal_id = d.id
            ORDER BY contact_id LIMIT 100
        ) AS k
        JOIN crm_contacts p ON p.workspace_id = :workspace AND p.id = k.contact_id
            AND p.deleted_at IS NULL
    ),
    'changes', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'on', (h.at AT TIME ZONE c.timezone)::date, 'field', h.field,
            'from', coalesce(s_old.name, o_old.name, h.old_value),
            'to', coalesce(s_new.name, o_new.name, h.new_value)
        ) ORDER BY h.at DESC, h.field), '[]')
        FROM (
            SELECT * FROM crm_deal_changes
            WHERE workspace_id = :workspace AND deal_id = d.id
            ORDER BY at DESC, field LIMIT :limit
        ) AS h
        LEFT JOIN crm_stages s_old ON h.field = 'stage' AND s_old.workspace_id = :workspace
            AND s_old.pipeline_id = d.pipeline_id AND s_old.id = h.old_value
        LEFT JOIN crm_stages s_new ON h.field = 'stage' AND s_new.workspace_id = :workspace
            AND s_new.pipeline_id = d.pipeline_id AND s_new.id = h.new_value
        LEFT JOIN crm_owners o_old ON h.field = 'owner' AND o_old.workspace_id = :workspace
            AND o_old.id = h.old_value AND o_old.deleted_at IS NULL
        LEFT JOIN crm_owners o_new ON h.field = 'owner' AND o_new.workspace_id = :workspace
            AND o_new.id = h.new_value AND o_new.deleted_at IS NULL
    ),
    'activities', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'activity_id', a.id, 'at', a.at, 'kind', a.kind, 'direction', a.direction,
            'subject', a.subject, 'body', left(a.body, 500), 'outcome', a.outcome,
            'owner', o.name
        ) ORDER BY a.at DESC, a.id), '[]')
        FROM (
            SELECT activity_id FROM crm_activity_deals
            WHERE workspace_id = :workspace AND deal_id = d.id
            ORDER BY at DESC, activity_id LIMIT :limit
        ) AS l
        JOIN crm_activities a ON a.workspace_id = :workspace AND a.id = l.activity_id
            AND a.deleted_at IS NULL
        LEFT JOIN crm_owners o ON o.workspace_id = :workspace AND o.id = a.owner_id
            AND o.deleted_at IS NULL
    ),
    'conversations', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'conversation_id', v.id, 'at', v.at, 'kind', v.kind, 'title', v.title,
            'summary', left(v.summary, 1000), 'url', v.url
        ) ORDER BY v.at DESC, v.id), '[]')
        FROM (
            SELECT conversation_id FROM crm_conversation_deals
            WHERE workspace_id = :workspace AND deal_id = d.id
            ORDER BY at DESC, conversation_id LIMIT :limit
        ) AS l
        JOIN crm_conversations v ON v.workspace_id = :workspace AND v.id = l.conversation_id
            AND v.deleted_at IS NULL
    )
)
FROM crm_chosen(:workspace, NULL, NULL, NULL, NULL) d
JOIN crm_cards card ON card.workspace_id = :workspace AND card.deal_id = d.id
JOIN crm_calendar c ON c.workspace_id = :workspace
WHERE d.id = :deal_id
