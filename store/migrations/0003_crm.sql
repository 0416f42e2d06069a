-- Business data of a workspace, from its sources. An id is `<source>:<the source's own id>`, so that
-- two sources never meet, and what refers to another record holds such an id too.
-- No foreign keys: a source may tell of a deal before its account.
-- Every table:
--   modified_at  when the record changed at its source; an older state never replaces a newer one
--   deleted_at   gone at the source; the row stays, so that a late page cannot bring it back
--   pass         the last reading of the source that saw it, for sources that tell of no deletions
--   digest       of all the source told but the time, so that what did not change is not written

-- Whether what a source told replaces the row. Of one moment, what differs does, but nothing replaces
-- a deletion that was told (`deleted_at` is its `modified_at`); one that was concluded, from not being
-- seen any more, is later than the row.
CREATE FUNCTION crm_replaces(
    modified_at timestamptz,
    digest uuid,
    old_modified_at timestamptz,
    old_digest uuid,
    old_deleted_at timestamptz
) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN modified_at > old_modified_at
    OR modified_at = old_modified_at
    AND CASE
        WHEN old_deleted_at IS NULL THEN digest IS DISTINCT FROM old_digest
        ELSE old_deleted_at > old_modified_at
    END;

CREATE TABLE crm_owners (
    workspace_id text NOT NULL,
    id text NOT NULL,
    source_id text NOT NULL,
    name text NOT NULL,
    email text,
    team text,
    active boolean NOT NULL DEFAULT true,
    modified_at timestamptz NOT NULL,
    deleted_at timestamptz,
    pass text,
    digest uuid,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE crm_pipelines (
    workspace_id text NOT NULL,
    id text NOT NULL,
    source_id text NOT NULL,
    name text NOT NULL,
    position integer NOT NULL DEFAULT 0,
    modified_at timestamptz NOT NULL,
    deleted_at timestamptz,
    pass text,
    digest uuid,
    PRIMARY KEY (workspace_id, id)
);

-- They come and go with their pipeline.
CREATE TABLE crm_stages (
    workspace_id text NOT NULL,
    id text NOT NULL,
    pipeline_id text NOT NULL,
    name text NOT NULL,
    position integer NOT NULL,
    probability double precision,
    outcome text NOT NULL CHECK (outcome IN ('open', 'won', 'lost')),
    PRIMARY KEY (workspace_id, pipeline_id, id)
);

CREATE TABLE crm_accounts (
    workspace_id text NOT NULL,
    id text NOT NULL,
    source_id text NOT NULL,
    name text NOT NULL,
    domain text,
    industry text,
    segment text,
    employees integer,
    owner_id text,
    url text,
    created_at timestamptz,
    modified_at timestamptz NOT NULL,
    deleted_at timestamptz,
    pass text,
    digest uuid,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE crm_contacts (
    workspace_id text NOT NULL,
    id text NOT NULL,
    source_id text NOT NULL,
    name text NOT NULL,
    email text,
    title text,
    account_id text,
    owner_id text,
    url text,
    created_at timestamptz,
    modified_at timestamptz NOT NULL,
    deleted_at timestamptz,
    pass text,
    digest uuid,
    PRIMARY KEY (workspace_id, id)
);

-- `outcome` is its stage's, kept here for the indexes; `stage_since` is when the last known change of
-- the stage was; `closed_at` is what the source told, or else that, or else the close date.
CREATE TABLE crm_deals (
    workspace_id text NOT NULL,
    id text NOT NULL,
    source_id text NOT NULL,
    name text NOT NULL,
    pipeline_id text NOT NULL,
    stage_id text NOT NULL,
    outcome text NOT NULL DEFAULT 'open' CHECK (outcome IN ('open', 'won', 'lost')),
    stage_since timestamptz,
    amount numeric(18, 2),
    currency text,
    close_date date,
    owner_id text,
    account_id text,
    segment text,
    forecast_category text,
    next_step text,
    lost_reason text,
    url text,
    created_at timestamptz NOT NULL,
    closed_at timestamptz,
    told_closed_at timestamptz,
    modified_at timestamptz NOT NULL,
    deleted_at timestamptz,
    pass text,
    digest uuid,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE crm_deal_contacts (
    workspace_id text NOT NULL,
    deal_id text NOT NULL,
    contact_id text NOT NULL,
    role text,
    PRIMARY KEY (workspace_id, deal_id, contact_id)
);

-- What a field of a deal was from then on: the history of stages, and of what else is watched.
-- A stage's value is its id; `old_value` is NULL for the first.
CREATE TABLE crm_deal_changes (
    workspace_id text NOT NULL,
    deal_id text NOT NULL,
    field text NOT NULL CHECK (field IN ('stage', 'amount', 'close_date', 'owner', 'forecast_category')),
    at timestamptz NOT NULL,
    old_value text,
    new_value text,
    PRIMARY KEY (workspace_id, deal_id, field, at)
);

CREATE TABLE crm_activities (
    workspace_id text NOT NULL,
    id text NOT NULL,
    source_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('call', 'email', 'meeting', 'note', 'task')),
    at timestamptz NOT NULL,
    subject text,
    body text,
    direction text CHECK (direction IN ('in', 'out')),
    outcome text,
    owner_id text,
    account_id text,
    contact_ids text[] NOT NULL DEFAULT '{}',
    modified_at timestamptz NOT NULL,
    deleted_at timestamptz,
    pass text,
    digest uuid,
    PRIMARY KEY (workspace_id, id)
);

-- Only of activities that are there; `at` is the activity's, so that a deal's last one is one look.
CREATE TABLE crm_activity_deals (
    workspace_id text NOT NULL,
    deal_id text NOT NULL,
    at timestamptz NOT NULL,
    activity_id text NOT NULL,
    PRIMARY KEY (workspace_id, deal_id, at, activity_id)
);
CREATE INDEX crm_activity_deals_of_activity ON crm_activity_deals (workspace_id, activity_id);

CREATE TABLE crm_conversations (
    workspace_id text NOT NULL,
    id text NOT NULL,
    source_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('call', 'email', 'meeting', 'chat')),
    title text NOT NULL,
    at timestamptz NOT NULL,
    participants text[] NOT NULL DEFAULT '{}',
    transcript text NOT NULL DEFAULT '',
    summary text,
    owner_id text,
    account_id text,
    url text,
    modified_at timestamptz NOT NULL,
    deleted_at timestamptz,
    pass text,
    digest uuid,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE crm_conversation_deals (
    workspace_id text NOT NULL,
    deal_id text NOT NULL,
    at timestamptz NOT NULL,
    conversation_id text NOT NULL,
    PRIMARY KEY (workspace_id, deal_id, at, conversation_id)
);
CREATE INDEX crm_conversation_deals_of_conversation
    ON crm_conversation_deals (workspace_id, conversation_id);

-- Of one owner, or, without, of everybody; of one pipeline, or of all.
CREATE TABLE crm_quotas (
    workspace_id text NOT NULL,
    id text NOT NULL,
    source_id text NOT NULL,
    owner_id text,
    pipeline_id text,
    starts_on date NOT NULL,
    ends_on date NOT NULL,
    amount numeric(18, 2) NOT NULL,
    currency text,
    modified_at timestamptz NOT NULL,
    deleted_at timestamptz,
    pass text,
    digest uuid,
    PRIMARY KEY (workspace_id, id)
);

-- What the tools ask. Lists leave out what is deleted, and so do their indexes.

CREATE INDEX crm_deals_open ON crm_deals (workspace_id, close_date)
    WHERE outcome = 'open' AND deleted_at IS NULL;
CREATE INDEX crm_deals_closed ON crm_deals (workspace_id, outcome, closed_at)
    WHERE outcome <> 'open' AND deleted_at IS NULL;
CREATE INDEX crm_deals_created ON crm_deals (workspace_id, created_at) WHERE deleted_at IS NULL;
CREATE INDEX crm_deals_of_account ON crm_deals (workspace_id, account_id) WHERE deleted_at IS NULL;
CREATE INDEX crm_deals_segments ON crm_deals (workspace_id, segment) WHERE deleted_at IS NULL;
CREATE INDEX crm_accounts_segments ON crm_accounts (workspace_id, segment)
    WHERE deleted_at IS NULL;
CREATE INDEX crm_contacts_of_account ON crm_contacts (workspace_id, account_id)
    WHERE deleted_at IS NULL;
CREATE INDEX crm_deal_changes_at ON crm_deal_changes (workspace_id, field, at);
-- In the order in which visits to stages are told, and with all that it takes.
CREATE INDEX crm_deal_changes_of_stage ON crm_deal_changes (workspace_id, deal_id, at)
    INCLUDE (new_value) WHERE field = 'stage';
CREATE INDEX crm_activities_of_account ON crm_activities (workspace_id, account_id, at)
    WHERE deleted_at IS NULL;
CREATE INDEX crm_activities_of_owner ON crm_activities (workspace_id, owner_id, at)
    WHERE deleted_at IS NULL;
CREATE INDEX crm_conversations_at ON crm_conversations (workspace_id, at)
    WHERE deleted_at IS NULL;
CREATE INDEX crm_conversations_of_account ON crm_conversations (workspace_id, account_id, at)
    WHERE deleted_at IS NULL;

-- The workspace is one of the words, so that a search never looks at another's.
CREATE FUNCTION crm_words(workspace text, said text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN array_to_tsvector(ARRAY['@' || workspace]) || to_tsvector('simple', said);

-- Every word may go on: `acm corp` finds Acme Corporation. NULL where there is no word at all.
CREATE FUNCTION crm_asked(workspace text, said text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN quote_literal('@' || workspace)::tsquery && nullif(
        regexp_replace(plainto_tsquery('simple', said)::text, '''(?= &|$)', ''':*', 'g'), ''
    )::tsquery;

CREATE INDEX crm_deals_words ON crm_deals USING gin (crm_words(workspace_id, name));
CREATE INDEX crm_accounts_words ON crm_accounts
    USING gin (crm_words(workspace_id, name || ' ' || coalesce(domain, '')));
CREATE INDEX crm_contacts_words ON crm_contacts USING gin (crm_words(
    workspace_id,
    name || ' ' || coalesce(email, '') || ' ' || replace(coalesce(email, ''), '@', ' ')
));
-- A tsvector has room for 1 MB.
ALTER TABLE crm_conversations ADD words tsvector NOT NULL GENERATED ALWAYS AS (crm_words(
    workspace_id, title || ' ' || left(coalesce(summary, ''), 20000) || ' ' || transcript
)) STORED;
CREATE INDEX crm_conversations_words ON crm_conversations USING gin (words);

-- Functions that give tables are put into the query that asks, as views are.

CREATE VIEW crm_calendar AS
    SELECT id AS workspace_id, timezone, (now() AT TIME ZONE timezone)::date AS today
    FROM workspaces;

-- `this_quarter`, `last_30_days`: days in the workspace's timezone, both ends in it.
CREATE FUNCTION crm_span(workspace text, period text, since date, until date)
    RETURNS TABLE (
        timezone text, today date, first_day date, last_day date,
        begins timestamptz, ends timestamptz
    )
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT timezone, today, first_day, last_day,
            first_day::timestamp AT TIME ZONE timezone,
            (last_day + 1)::timestamp AT TIME ZONE timezone
        FROM (
            SELECT timezone, today,
                coalesce(since, CASE
                    WHEN period LIKE 'last_%_days' THEN today - split_part(period, '_', 2)::int + 1
                    WHEN period LIKE 'next_%_days' THEN today
                    ELSE (date_trunc(unit, today::timestamp) + place * step)::date
                END) AS first_day,
                coalesce(until, CASE
                    WHEN period LIKE 'last_%_days' THEN today
                    WHEN period LIKE 'next_%_days' THEN today + split_part(period, '_', 2)::int - 1
                    ELSE (date_trunc(unit, today::timestamp) + (place + 1) * step)::date - 1
                END) AS last_day
            FROM (
                SELECT *,
                    CASE unit WHEN 'quarter' THEN '3 months' ELSE '1 ' || unit END::interval AS step
                FROM (
                    SELECT timezone, today,
                        CASE
                            WHEN period LIKE '%_days' THEN 'day' ELSE split_part(period, '_', 2)
                        END AS unit,
                        CASE split_part(period, '_', 1)
                            WHEN 'last' THEN -1 WHEN 'next' THEN 1 ELSE 0
                        END AS place
                    FROM crm_calendar WHERE workspace_id = workspace
                ) AS named
            ) AS sized
        ) AS bounded;
    END;

-- What has happened, not what is planned.
CREATE FUNCTION crm_last_touch(workspace text, deal text) RETURNS TABLE (at timestamptz)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT max(last.at)
        FROM (
            SELECT max(l.at) AS at FROM crm_activity_deals l
            WHERE l.workspace_id = workspace AND l.deal_id = deal AND l.at <= now()
            UNION ALL
            SELECT max(l.at) FROM crm_conversation_deals l
            WHERE l.workspace_id = workspace AND l.deal_id = deal AND l.at <= now()
        ) AS last;
    END;

-- The deals that a filter leaves; a filter that is NULL leaves all.
CREATE FUNCTION crm_chosen(
    workspace text, pipelines text[], owners text[], segments text[], min_amount numeric
)
    RETURNS TABLE (
        id text, pipeline_id text, stage_id text, outcome text, stage_since timestamptz,
        amount numeric, currency text, close_date date, owner_id text, account_id text,
        segment text, forecast_category text, next_step text, lost_reason text,
        created_at timestamptz, closed_at timestamptz
    )
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT d.id, d.pipeline_id, d.stage_id, d.outcome, d.stage_since, d.amount, d.currency,
            d.close_date, d.owner_id, d.account_id, coalesce(d.segment, a.segment),
            d.forecast_category, nullif(trim(d.next_step), ''), d.lost_reason, d.created_at,
            d.closed_at
        FROM crm_deals d
        LEFT JOIN crm_accounts a ON a.workspace_id = d.workspace_id AND a.id = d.account_id
            AND a.deleted_at IS NULL
        WHERE d.workspace_id = workspace AND d.deleted_at IS NULL
            AND (pipelines IS NULL OR d.pipeline_id = ANY (pipelines))
            AND (owners IS NULL OR d.owner_id = ANY (owners))
            AND (segments IS NULL OR coalesce(d.segment, a.segment) = ANY (segments))
            AND (min_amount IS NULL OR d.amount >= min_amount);
    END;

-- A deal as every list shows it.
CREATE VIEW crm_cards AS
    SELECT d.workspace_id, d.id AS deal_id, d.name, d.url,
        coalesce(nullif(p.name, ''), d.pipeline_id) AS pipeline,
        coalesce(nullif(s.name, ''), d.stage_id) AS stage,
        d.outcome, d.amount, d.currency, d.close_date, d.owner_id, o.name AS owner,
        d.account_id, a.name AS account, d.forecast_category,
        left(nullif(trim(d.next_step), ''), 500) AS next_step,
        c.today - (d.stage_since AT TIME ZONE c.timezone)::date AS days_in_stage,
        (t.at AT TIME ZONE c.timezone)::date AS last_activity_on,
        c.today - (t.at AT TIME ZONE c.timezone)::date AS days_since_activity
    FROM crm_deals d
    JOIN crm_calendar c ON c.workspace_id = d.workspace_id
    LEFT JOIN crm_pipelines p ON p.workspace_id = d.workspace_id AND p.id = d.pipeline_id
        AND p.deleted_at IS NULL
    LEFT JOIN crm_stages s ON s.workspace_id = d.workspace_id AND s.pipeline_id = d.pipeline_id
        AND s.id = d.stage_id
    LEFT JOIN crm_owners o ON o.workspace_id = d.workspace_id AND o.id = d.owner_id
        AND o.deleted_at IS NULL
    LEFT JOIN crm_accounts a ON a.workspace_id = d.workspace_id AND a.id = d.account_id
        AND a.deleted_at IS NULL
    CROSS JOIN LATERAL crm_last_touch(d.workspace_id, d.id) t
    WHERE d.deleted_at IS NULL;

-- From entering a stage to leaving it; `left_at` is NULL while the deal is there.
CREATE VIEW crm_stage_visits AS
    SELECT workspace_id, deal_id, new_value AS stage_id, at AS entered_at,
        lead(at) OVER visit AS left_at
    FROM crm_deal_changes
    WHERE field = 'stage'
    WINDOW visit AS (PARTITION BY workspace_id, deal_id ORDER BY at);

-- The later half of an open pipeline: by probability, or by place where none is told.
CREATE VIEW crm_late_stages AS
    SELECT workspace_id, pipeline_id, id
    FROM (
        SELECT workspace_id, pipeline_id, id, probability,
            row_number() OVER (pipeline ORDER BY position, id) AS place,
            count(*) OVER pipeline AS places
        FROM crm_stages
        WHERE outcome = 'open'
        WINDOW pipeline AS (PARTITION BY workspace_id, pipeline_id)
    ) AS placed
    WHERE coalesce(probability >= 0.5, 2 * place > places);
