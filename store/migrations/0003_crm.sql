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
