CREATE TABLE workspaces (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text NOT NULL,
    timezone text NOT NULL DEFAULT 'UTC',
    settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A key without a workspace is an admin's.
CREATE TABLE keys (
    id text PRIMARY KEY,
    workspace_id text REFERENCES workspaces,
    name text NOT NULL,
    scopes text[] NOT NULL,
    hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX keys_of_workspace ON keys (workspace_id, created_at);

CREATE TABLE secrets (
    workspace_id text NOT NULL REFERENCES workspaces,
    name text NOT NULL,
    value bytea NOT NULL,
    allowed_hosts text[] NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, name)
);

-- Rows here never change: a run in flight finds the version it began with, also after a removal.
-- `skill` is text because jsonb forgets the order of keys, and in a flow the order means something.
CREATE TABLE skill_versions (
    workspace_id text NOT NULL REFERENCES workspaces,
    name text NOT NULL,
    hash text NOT NULL,
    skill text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, name, hash)
);

CREATE TABLE skill_files (
    workspace_id text NOT NULL REFERENCES workspaces,
    hash text NOT NULL,
    path text NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (workspace_id, hash, path)
);

-- Which version a name stands for now.
CREATE TABLE skills (
    workspace_id text NOT NULL,
    name text NOT NULL,
    hash text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, name),
    FOREIGN KEY (workspace_id, name, hash) REFERENCES skill_versions
);

-- No foreign keys: a run that outlived a restored database records itself whatever is missing there.
-- `inputs`, `output`, `error` and `waiting_for` are sealed. `seq` is that of the last record.
CREATE TABLE runs (
    run_id text PRIMARY KEY,
    workspace_id text NOT NULL,
    skill text NOT NULL,
    version text NOT NULL,
    status text NOT NULL,
    trigger text NOT NULL,
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    label text,
    subject_kind text,
    subject_id text,
    parent text,
    lineage text NOT NULL,
    retry_of text,
    idempotency_hash bytea,
    request_hash bytea,
    seq bigint NOT NULL DEFAULT -1,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    completed_at timestamptz,
    archived_at timestamptz,
    error_code text,
    error bytea,
    waiting_for bytea,
    inputs bytea,
    output bytea
);
CREATE UNIQUE INDEX runs_idempotency ON runs (workspace_id, idempotency_hash)
    WHERE idempotency_hash IS NOT NULL;
CREATE INDEX runs_newest ON runs (workspace_id, created_at DESC, run_id DESC);
CREATE INDEX runs_newest_of_skill ON runs (workspace_id, skill, created_at DESC, run_id DESC);
CREATE INDEX runs_newest_in_status ON runs (workspace_id, status, created_at DESC, run_id DESC);
CREATE INDEX runs_open ON runs (created_at, run_id) WHERE completed_at IS NULL;
CREATE INDEX runs_unarchived ON runs (completed_at)
    WHERE completed_at IS NOT NULL AND archived_at IS NULL;
CREATE INDEX runs_children ON runs (parent) WHERE parent IS NOT NULL;
CREATE INDEX runs_lineage ON runs (lineage);
CREATE INDEX runs_retries ON runs (retry_of) WHERE retry_of IS NOT NULL;

-- Without what may be megabytes.
CREATE VIEW run_summaries AS
    SELECT run_id, workspace_id, skill, version, status, trigger, actor_kind, actor_id, label,
        subject_kind, subject_id, parent, lineage, retry_of, created_at, started_at, completed_at,
        archived_at, error_code, error, waiting_for
    FROM runs;

-- The sealed log of a run that ended, so that it outlives Temporal's retention.
CREATE TABLE run_logs (
    run_id text PRIMARY KEY,
    workspace_id text NOT NULL,
    events bytea NOT NULL
);

-- Failed attempts, of which Temporal's history keeps only the last. `failure` is sealed.
CREATE TABLE attempts (
    run_id text NOT NULL,
    path text NOT NULL,
    attempt integer NOT NULL,
    workspace_id text NOT NULL,
    code text NOT NULL,
    failure bytea NOT NULL,
    will_retry boolean NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (run_id, path, attempt)
);
