-- Where the end of a run is told. `url` and `last_error` are sealed. No foreign keys, as with runs:
-- the row is written with the run's, and its delivery is a workflow of its own.
CREATE TABLE callbacks (
    run_id text PRIMARY KEY,
    workspace_id text NOT NULL,
    url bytea NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    last_status integer, -- of HTTP; NULL where no answer came
    last_error bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz, -- when its delivery was begun
    delivered_at timestamptz,
    gave_up_at timestamptz
);
CREATE INDEX callbacks_open ON callbacks (started_at, created_at)
    WHERE delivered_at IS NULL AND gave_up_at IS NULL;

-- What callbacks are signed with, sealed. The highest number is the current one; the one before it
-- signs along for a while, until every receiver knows the new one.
CREATE TABLE webhook_secrets (
    workspace_id text NOT NULL REFERENCES workspaces,
    number integer NOT NULL,
    value bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, number)
);
