-- How a workspace uses models. Without a row: the installation's routing, and no limit.
CREATE TABLE llm_configs (
    workspace_id text PRIMARY KEY REFERENCES workspaces,
    routing jsonb NOT NULL DEFAULT '{}',
    token_budget bigint CHECK (token_budget >= 0), -- a month; NULL is no limit, 0 is nothing
    run_max_tokens bigint CHECK (run_max_tokens > 0),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Providers' keys of the workspace's own, sealed.
CREATE TABLE llm_keys (
    workspace_id text NOT NULL REFERENCES workspaces,
    provider text NOT NULL,
    value bytea NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, provider)
);

-- From here on no foreign keys, as with runs: what was spent is written down whatever is missing.

-- What counts against the budget. A new month is a new row, so that nothing has to be reset.
-- `period` is the first day of the month in the workspace's zone.
CREATE TABLE budget_months (
    workspace_id text NOT NULL,
    period date NOT NULL,
    used bigint NOT NULL DEFAULT 0,
    reserved bigint NOT NULL DEFAULT 0,
    topped_up bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, period)
) WITH (fillfactor = 50);

CREATE TABLE top_ups (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id text NOT NULL,
    period date NOT NULL,
    tokens bigint NOT NULL,
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    idempotency_hash bytea,
    request_hash bytea,
    at timestamptz NOT NULL
);
CREATE UNIQUE INDEX top_ups_idempotency ON top_ups (workspace_id, idempotency_hash)
    WHERE idempotency_hash IS NOT NULL;

-- One row for each attempt at a call. `reserved` is what was granted; the four counts are zero
-- until it ended. States:
--   reserved    under way, or dead
--   settled     answered; `answer` is sealed
--   spent       paid for, without an answer, or told after its place was given away
--   released    surely not processed
--   superseded  a later attempt took over its reservation
--   expired     dead: counted as if all that was reserved had been spent
CREATE TABLE llm_calls (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id text NOT NULL,
    call_key text NOT NULL,
    request_hash text NOT NULL,
    run_id text NOT NULL,
    lineage text NOT NULL,
    path text NOT NULL,
    turn integer NOT NULL,
    attempt integer NOT NULL,
    skill text NOT NULL,
    model text NOT NULL,
    key_source text NOT NULL,
    period date NOT NULL,
    state text NOT NULL DEFAULT 'reserved',
    reserved bigint NOT NULL,
    input bigint NOT NULL DEFAULT 0,
    cache_read bigint NOT NULL DEFAULT 0,
    cache_write bigint NOT NULL DEFAULT 0,
    output bigint NOT NULL DEFAULT 0,
    estimated boolean NOT NULL DEFAULT false,
    cost_nano bigint, -- billionths of a dollar; NULL is unknown
    price_version text,
    latency_ms integer,
    answer bytea,
    reserved_at timestamptz NOT NULL,
    ended_at timestamptz
);
-- The same attempt is made once, and its answer is bought once.
CREATE UNIQUE INDEX llm_calls_once
    ON llm_calls (workspace_id, call_key, request_hash, run_id, attempt, model)
    WHERE state IN ('reserved', 'settled');
CREATE INDEX llm_calls_of_key ON llm_calls (workspace_id, call_key);
CREATE INDEX llm_calls_of_run ON llm_calls (workspace_id, run_id, id);
CREATE INDEX llm_calls_open ON llm_calls (reserved_at) WHERE state = 'reserved';

-- Sums of the ledger that lists and pages need at once. `unpriced` counts calls of unknown cost.
CREATE TABLE run_usage (
    workspace_id text NOT NULL,
    run_id text NOT NULL,
    reserved bigint NOT NULL DEFAULT 0,
    calls bigint NOT NULL DEFAULT 0,
    input bigint NOT NULL DEFAULT 0,
    cache_read bigint NOT NULL DEFAULT 0,
    cache_write bigint NOT NULL DEFAULT 0,
    output bigint NOT NULL DEFAULT 0,
    cost_nano bigint NOT NULL DEFAULT 0,
    unpriced bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, run_id)
) WITH (fillfactor = 70);

CREATE TABLE skill_usage (
    workspace_id text NOT NULL,
    period date NOT NULL,
    skill text NOT NULL,
    key_source text NOT NULL,
    calls bigint NOT NULL,
    tokens bigint NOT NULL,
    cost_nano bigint NOT NULL,
    unpriced bigint NOT NULL,
    PRIMARY KEY (workspace_id, period, skill, key_source)
) WITH (fillfactor = 70);

-- What people should hear of, for any notifier to take. The key makes each happen once.
CREATE TABLE notices (
    workspace_id text NOT NULL,
    key text NOT NULL,
    kind text NOT NULL,
    data jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    taken_until timestamptz,
    delivered_at timestamptz,
    PRIMARY KEY (workspace_id, key)
);
CREATE INDEX notices_open ON notices (at) WHERE delivered_at IS NULL;

-- What runs wait for. Whatever may end a wait counts `stirred` up in the same statement, so that a
-- wake-up outlives whoever was about to send it; `woken` follows once the run has been told.
CREATE TABLE waits (
    workspace_id text NOT NULL,
    run_id text NOT NULL,
    step text NOT NULL,
    kind text NOT NULL,
    until timestamptz,
    stirred bigint NOT NULL DEFAULT 0,
    woken bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace_id, run_id, step)
);
CREATE INDEX waits_of_kind ON waits (workspace_id, kind);
CREATE INDEX waits_stirred ON waits (workspace_id, run_id) WHERE stirred > woken;

-- Runs are shown with what their models used.
CREATE OR REPLACE VIEW run_summaries AS
    SELECT runs.run_id, runs.workspace_id, skill, version, status, trigger, actor_kind, actor_id,
        label, subject_kind, subject_id, parent, lineage, retry_of, created_at, started_at,
        completed_at, archived_at, error_code, error, waiting_for,
        run_usage.calls, run_usage.input, run_usage.cache_read, run_usage.cache_write,
        run_usage.output AS output_tokens, run_usage.cost_nano, run_usage.unpriced
    FROM runs
    LEFT JOIN run_usage
        ON run_usage.workspace_id = runs.workspace_id AND run_usage.run_id = runs.run_id;
