-- What happened, told from outside or by a run. `data` and `plan` are sealed; the plan says what the
-- event starts, and is written before any of it is. In a workspace `seq` grows in the order in which
-- events can be seen.
CREATE TABLE events (
    workspace_id text NOT NULL REFERENCES workspaces,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    event_id text NOT NULL,
    name text NOT NULL,
    data bytea NOT NULL,
    id_hash bytea,
    request_hash bytea NOT NULL,
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    at timestamptz NOT NULL,
    plan bytea,
    dispatched_at timestamptz,
    PRIMARY KEY (workspace_id, seq)
);
CREATE UNIQUE INDEX events_by_id ON events (workspace_id, event_id);
CREATE UNIQUE INDEX events_once ON events (workspace_id, id_hash) WHERE id_hash IS NOT NULL;
CREATE INDEX events_of_name ON events (workspace_id, name, seq);
CREATE INDEX events_undispatched ON events (at) WHERE dispatched_at IS NULL;

-- A wait for an event: its name, what it has to meet (sealed), up to which one it has looked, and
-- which one it took. It stays until the run ends, so that no other step of the run takes the same.
ALTER TABLE waits
    ADD COLUMN event text,
    ADD COLUMN condition bytea,
    ADD COLUMN seen bigint NOT NULL DEFAULT 0,
    ADD COLUMN taken bigint;
CREATE UNIQUE INDEX waits_taken ON waits (workspace_id, run_id, taken) WHERE taken IS NOT NULL;
CREATE INDEX waits_of_event ON waits (workspace_id, event)
    WHERE event IS NOT NULL AND taken IS NULL;

-- By the clock of the database, as the times of events are: a run waits for what comes after it.
ALTER TABLE runs ADD COLUMN entered_at timestamptz NOT NULL DEFAULT clock_timestamp();
