CREATE TABLE household (
    household_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    reference    text NOT NULL UNIQUE CHECK (length(reference) BETWEEN 1 AND 40),
    name         text NOT NULL,
    address      text[] NOT NULL CHECK (cardinality(address) BETWEEN 1 AND 5),
    version      bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    active       boolean NOT NULL DEFAULT true,
    wish_digest  bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE child (
    child_id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    first_name text NOT NULL,
    last_name  text NOT NULL,
    birth_date date NOT NULL,
    school     text NOT NULL,
    class_name text NOT NULL
);

CREATE TABLE household_child (
    household_id uuid NOT NULL REFERENCES household,
    child_id     uuid NOT NULL REFERENCES child,
    custody      text NOT NULL CHECK (custody IN ('free', 'even_weeks', 'odd_weeks')),
    position     integer NOT NULL,
    PRIMARY KEY (household_id, child_id)
);
CREATE INDEX ON household_child (child_id);

-- Who may sign in: a guardian of one household, or somebody of the town hall.
CREATE TABLE account (
    account_id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    identifier   text NOT NULL UNIQUE CHECK (identifier = lower(identifier) AND length(identifier) BETWEEN 4 AND 40),
    secret_hash  text NOT NULL,
    household_id uuid REFERENCES household,
    first_name   text NOT NULL,
    last_name    text NOT NULL,
    email        text,
    roles        text[] NOT NULL CHECK (cardinality(roles) > 0),
    version      bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    active       boolean NOT NULL DEFAULT true,
    CHECK ((household_id IS NOT NULL) = ('parent' = ANY (roles)))
);
CREATE INDEX ON account (household_id);

CREATE TABLE session (
    session_id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    token_hash   bytea NOT NULL UNIQUE,
    account_id   uuid NOT NULL REFERENCES account,
    user_agent   text NOT NULL,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    ended_at     timestamptz
);
CREATE INDEX ON session (account_id) WHERE ended_at IS NULL;

-- Failures by account and by address; the key is a digest, so that nobody's typing mistakes are kept readable.
CREATE TABLE sign_in_guard (
    guard        bytea PRIMARY KEY,
    failures     integer NOT NULL CHECK (failures >= 0),
    last_at      timestamptz NOT NULL,
    locked_until timestamptz
);

CREATE TABLE signing_key (
    key_id      text PRIMARY KEY,
    private_key bytea NOT NULL,
    public_key  jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE security_fact (
    position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    fact       text NOT NULL,
    account_id uuid,
    address    text NOT NULL
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON security_fact
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
