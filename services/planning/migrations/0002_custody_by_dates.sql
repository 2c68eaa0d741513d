-- Custody by dates comes from auth with the household, as everything about a child; nothing of it is planning's own.
DROP TABLE custody_day;
ALTER TABLE household_child
    ADD COLUMN custody_days jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(custody_days) = 'array');

-- Of which nobody keeps a name any more; days to come are freed by a job.
ALTER TABLE household ADD COLUMN erased boolean NOT NULL DEFAULT false;
CREATE INDEX ON household (household_id) WHERE erased;

-- Which guardians may no longer read anything, as auth said it last.
CREATE TABLE guardian (
    guardian_id uuid PRIMARY KEY,
    version     bigint NOT NULL,
    active      boolean NOT NULL
);

-- The address of a guardian's calendar: whoever has it reads the booked days, and nothing else.
CREATE TABLE feed (
    guardian_id  uuid PRIMARY KEY,
    household_id uuid NOT NULL,
    key_hash     bytea NOT NULL UNIQUE,
    made_at      timestamptz NOT NULL,
    read_at      timestamptz,
    counted_from timestamptz NOT NULL,
    reads        integer NOT NULL DEFAULT 0 CHECK (reads >= 0)
);
