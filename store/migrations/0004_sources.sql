-- Where a workspace's business data comes from. `sync_run` is the sync that may write, or was the last;
-- it counts as under way from its claim, before it has a row in `runs`.
CREATE TABLE sources (
    workspace_id text NOT NULL REFERENCES workspaces,
    id text NOT NULL CHECK (id ~ '^[a-z][a-z0-9-]{0,39}$'),
    config jsonb NOT NULL,
    sync_run text,
    claimed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, id)
);

-- How far the last pass over a kind came. `known_to` is the time up to which all changes are known,
-- from passes that came to their end; the next one asks for what changed since. `lost` counts the
-- faults that hide a whole record.
CREATE TABLE source_passes (
    workspace_id text NOT NULL,
    source_id text NOT NULL,
    kind text NOT NULL,
    known_to timestamptz,
    run_id text NOT NULL,
    began_at timestamptz NOT NULL,
    since timestamptz,
    phase text NOT NULL CHECK (phase IN ('reading', 'sweeping', 'done')),
    page integer NOT NULL DEFAULT 0,
    cursor text,
    newest timestamptz,
    read bigint NOT NULL DEFAULT 0,
    written bigint NOT NULL DEFAULT 0,
    deleted bigint NOT NULL DEFAULT 0,
    unchanged bigint NOT NULL DEFAULT 0,
    faults bigint NOT NULL DEFAULT 0,
    lost bigint NOT NULL DEFAULT 0,
    first_faults text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (workspace_id, source_id, kind),
    FOREIGN KEY (workspace_id, source_id) REFERENCES sources ON DELETE CASCADE
);

-- An uploaded file, in parts of one size. What is being uploaded is not `ready`, and the version
-- before the current one stays for a sync that reads it.
CREATE TABLE source_files (
    version bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id text NOT NULL,
    source_id text NOT NULL,
    kind text NOT NULL,
    format text NOT NULL CHECK (format IN ('csv', 'jsonl')),
    size bigint NOT NULL DEFAULT 0,
    lines bigint NOT NULL DEFAULT 0,
    ready boolean NOT NULL DEFAULT false,
    uploaded_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (workspace_id, source_id) REFERENCES sources ON DELETE CASCADE
);
CREATE INDEX source_files_of_source ON source_files (workspace_id, source_id, kind, version);

CREATE TABLE source_file_parts (
    version bigint NOT NULL REFERENCES source_files ON DELETE CASCADE,
    part integer NOT NULL,
    workspace_id text NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (version, part)
);
