-- What every service's database has: facts on their way out, facts that came in, answers already given.
CREATE TABLE outbox (
    position       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id       uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    type           text NOT NULL CHECK (type ~ '^[a-z-]+(\.[a-z-]+)+$'),
    subject        text NOT NULL CHECK (length(subject) BETWEEN 1 AND 200),
    data           text NOT NULL,
    correlation_id text NOT NULL,
    occurred_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE inbox (
    listener    text NOT NULL,
    event_id    uuid NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (listener, event_id)
);

CREATE TABLE idempotency_key (
    scope       text NOT NULL CHECK (length(scope) BETWEEN 1 AND 200),
    key         text NOT NULL CHECK (length(key) BETWEEN 1 AND 100),
    request     bytea NOT NULL,
    answer      bytea,
    answered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, key)
);
