-- What people were told by `notify` steps. The key is the effect's, the same for all tries and
-- retries: what stands here is not told again. `answer` is what the step gave.
CREATE TABLE deliveries (
    workspace_id text NOT NULL,
    effect_key text NOT NULL,
    run_id text NOT NULL,
    channel text NOT NULL,
    answer jsonb NOT NULL,
    delivered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, effect_key)
);
