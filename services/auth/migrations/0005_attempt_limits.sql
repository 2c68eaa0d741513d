-- Attempts to prove something (a secret, a one-time code), counted before they are verified and given back when they
-- were right. One row for each account, device, address; the key is a digest, so that nobody's typing is readable here.
-- sign_in_guard, which counted failures afterwards, stays for the programs of the version before.
CREATE TABLE attempt_limit (
    key          bytea PRIMARY KEY,
    attempts     double precision NOT NULL CHECK (attempts >= 0),
    counted_at   timestamptz NOT NULL,
    locked_until timestamptz
);
CREATE INDEX ON attempt_limit (counted_at);

-- Whether any account was used in a browser.
CREATE INDEX ON device (device_hash);

-- Recovery codes are kept under a key and the account from now on; a plain digest is replaced by the hourly job.
ALTER TABLE recovery_code ADD COLUMN is_keyed boolean NOT NULL DEFAULT false;
