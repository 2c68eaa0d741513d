CREATE TABLE household (
    household_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    reference    text NOT NULL UNIQUE CHECK (length(reference) BETWEEN 1 AND 40),
    name         text NOT NULL,
    address      text[] NOT NULL CHECK (cardinality(address) BETWEEN 1 AND 5),
    version      bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    active       boolean NOT NULL DEFAULT true,
    wish_digest  bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    erased_at    timestamptz,
    CHECK (erased_at IS NULL OR NOT active)
);

-- The reference is the town hall's own number of the child; it joins a child of two households.
CREATE TABLE child (
    child_id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    reference  text UNIQUE CHECK (length(reference) BETWEEN 1 AND 40),
    first_name text NOT NULL,
    last_name  text NOT NULL,
    birth_date date NOT NULL,
    school     text NOT NULL,
    class_name text NOT NULL
);

-- custody_days: the spans that are this household's, as [["2026-09-01", "2026-09-15"], …]; empty: custody alone says it.
CREATE TABLE household_child (
    household_id uuid NOT NULL REFERENCES household,
    child_id     uuid NOT NULL REFERENCES child,
    custody      text NOT NULL CHECK (custody IN ('free', 'even_weeks', 'odd_weeks')),
    custody_days jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(custody_days) = 'array'),
    position     integer NOT NULL,
    PRIMARY KEY (household_id, child_id)
);
CREATE INDEX ON household_child (child_id);

-- Who may sign in: a guardian of one household, or somebody of the town hall.
-- set_up: 'letter' until a secret is chosen in place of the letter's code, 'email' until an address is confirmed.
-- Without a secret_hash no letter was printed yet. state grows with each change of secret, address or right to sign in:
-- a link carries the state it was made for and is worth nothing in any other.
CREATE TABLE account (
    account_id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    identifier         text NOT NULL UNIQUE CHECK (identifier = lower(identifier) AND length(identifier) BETWEEN 4 AND 40),
    secret_hash        text,
    set_up             text NOT NULL CHECK (set_up IN ('letter', 'email', 'done')),
    state              integer NOT NULL DEFAULT 1,
    household_id       uuid REFERENCES household,
    first_name         text NOT NULL,
    last_name          text NOT NULL,
    email              text,
    email_confirmed_at timestamptz,
    roles              text[] NOT NULL CHECK (cardinality(roles) > 0),
    version            bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    active             boolean NOT NULL DEFAULT true,
    position           integer NOT NULL DEFAULT 0,
    letter_at          timestamptz,
    totp_secret        bytea,
    totp_since         timestamptz,
    totp_step          bigint NOT NULL DEFAULT 0,
    CHECK ((household_id IS NOT NULL) = ('parent' = ANY (roles))),
    CHECK (secret_hash IS NOT NULL OR set_up = 'letter' OR NOT active),
    CHECK (email_confirmed_at IS NULL OR email IS NOT NULL),
    CHECK (totp_since IS NULL OR totp_secret IS NOT NULL)
);
CREATE INDEX ON account (household_id);
CREATE INDEX ON account (lower(email)) WHERE email_confirmed_at IS NOT NULL;

-- Used instead of a one-time code when the telephone is lost; each once.
CREATE TABLE recovery_code (
    account_id uuid NOT NULL REFERENCES account,
    code_hash  bytea NOT NULL,
    used_at    timestamptz,
    PRIMARY KEY (account_id, code_hash)
);

CREATE TABLE session (
    session_id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    token_hash   bytea NOT NULL UNIQUE,
    account_id   uuid NOT NULL REFERENCES account,
    user_agent   text NOT NULL,
    code_given   boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    ended_at     timestamptz
);
CREATE INDEX ON session (account_id) WHERE ended_at IS NULL;
CREATE INDEX ON session (last_used_at);

-- Addresses typed under « Codes oubliés ? », answered out of sight, so that the page takes the same time for any of them.
CREATE TABLE reset_wish (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email    text NOT NULL,
    address  text NOT NULL,
    asked_at timestamptz NOT NULL
);

-- A link in a mail: one purpose, once, for a short while, and only while the account is as it was.
CREATE TABLE link (
    token_hash bytea PRIMARY KEY,
    purpose    text NOT NULL CHECK (purpose IN ('reset', 'email')),
    account_id uuid NOT NULL REFERENCES account,
    state      integer NOT NULL,
    email      text NOT NULL,
    made_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > made_at),
    used_at    timestamptz
);
CREATE INDEX ON link (account_id, made_at);

-- Failures by account and by address; the key is a digest, so that nobody's typing mistakes are kept readable.
CREATE TABLE sign_in_guard (
    guard        bytea PRIMARY KEY,
    failures     integer NOT NULL CHECK (failures >= 0),
    last_at      timestamptz NOT NULL,
    locked_until timestamptz
);

-- Published from created_at to retires_at; the newest whose signs_from has come signs.
CREATE TABLE signing_key (
    key_id      text PRIMARY KEY,
    private_key bytea NOT NULL,
    public_key  jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    signs_from  timestamptz NOT NULL DEFAULT now(),
    retires_at  timestamptz
);

-- A file of families: read (dry run), then applied or not. content is forgotten once applied.
CREATE TABLE family_import (
    import_id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    made_by       uuid NOT NULL,
    made_at       timestamptz NOT NULL,
    file_name     text NOT NULL,
    content       bytea,
    status        text NOT NULL CHECK (status IN ('reading', 'refused', 'read', 'applying', 'applied')),
    close_missing boolean NOT NULL DEFAULT false,
    done          integer NOT NULL DEFAULT 0,
    total         integer NOT NULL DEFAULT 0,
    report        jsonb NOT NULL DEFAULT '{}',
    diff_digest   bytea,
    applied_at    timestamptz,
    CHECK ((status = 'applied') = (applied_at IS NOT NULL))
);
CREATE INDEX ON family_import (made_at);
CREATE INDEX ON family_import (import_id) WHERE status IN ('reading', 'applying');

CREATE TABLE security_fact (
    position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    fact       text NOT NULL,
    account_id uuid,
    address    text NOT NULL,
    by_id      uuid
);
CREATE INDEX ON security_fact (account_id, at);
CREATE INDEX ON security_fact (at);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON security_fact
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Retention may forget what is old; nothing forgets what is young.
CREATE FUNCTION refuse_forgetting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.at > now() - interval '180 days' THEN
        RAISE EXCEPTION 'security facts are kept for 180 days at least';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER kept_while_young BEFORE DELETE ON security_fact FOR EACH ROW EXECUTE FUNCTION refuse_forgetting();
