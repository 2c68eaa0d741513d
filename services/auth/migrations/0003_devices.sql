-- The browsers an account was signed in from, known by what each of them keeps; only its hash is here.
CREATE TABLE device (
    account_id    uuid NOT NULL REFERENCES account,
    device_hash   bytea NOT NULL,
    first_used_at timestamptz NOT NULL,
    last_used_at  timestamptz NOT NULL,
    PRIMARY KEY (account_id, device_hash)
);
CREATE INDEX ON device (last_used_at);
