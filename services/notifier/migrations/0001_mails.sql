-- Whom to write to, as auth said it last.
CREATE TABLE guardian (
    guardian_id  uuid PRIMARY KEY,
    household_id uuid NOT NULL,
    version      integer NOT NULL,
    first_name   text NOT NULL,
    email        text,
    active       boolean NOT NULL,
    -- Whoever has it may stop this guardian's optional mails, and nothing else.
    unsubscribe_key uuid NOT NULL UNIQUE DEFAULT gen_random_uuid()
);
CREATE INDEX ON guardian (household_id);

CREATE TABLE preference (
    guardian_id       uuid PRIMARY KEY,
    invoice_published boolean NOT NULL,
    booking_recap     boolean NOT NULL,
    announcements     boolean NOT NULL,
    language          text NOT NULL CHECK (language IN ('fr', 'en')),
    saved_at          timestamptz NOT NULL
);

-- The schools of a household's children, as auth said them last.
CREATE TABLE household (
    household_id uuid PRIMARY KEY,
    version      bigint NOT NULL,
    schools      text[] NOT NULL
);

-- Every message of the town hall, for all or for a school's families. One that is to be mailed is turned into mails in
-- the order of guardians; the cursor says how far that has come.
CREATE TABLE announcement (
    announcement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    markdown        text NOT NULL,
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz CHECK (ends_at > starts_at),
    school          text,
    by_mail         boolean NOT NULL,
    mail_cursor     uuid,
    mailed_at       timestamptz,
    saved_by        uuid NOT NULL,
    saved_at        timestamptz NOT NULL
);
CREATE INDEX ON announcement (starts_at) WHERE by_mail AND mailed_at IS NULL;

-- A mail to be sent. The intent names the fact and the person: a fact is mailed once to a person.
CREATE TABLE mail (
    mail_id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    intent      text NOT NULL UNIQUE,
    kind        text NOT NULL,
    recipient   text NOT NULL,
    first_name  text NOT NULL,
    domain      text NOT NULL,
    -- A guardian, or somebody of the town hall about their own codes.
    person_id   uuid NOT NULL,
    event       jsonb NOT NULL,
    -- What somebody waits for goes before what everybody gets.
    priority    smallint NOT NULL CHECK (priority BETWEEN 0 AND 2),
    announcement_id bigint REFERENCES announcement,
    status      text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'sent', 'failed', 'bounced')),
    attempts    integer NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL,
    try_at      timestamptz NOT NULL,
    sent_at     timestamptz,
    claimed_at  timestamptz,
    last_answer text,
    CHECK ((status IN ('sent', 'bounced')) = (sent_at IS NOT NULL))
);
CREATE INDEX ON mail (priority, try_at) WHERE status = 'waiting';
CREATE INDEX ON mail (announcement_id) WHERE announcement_id IS NOT NULL;
CREATE INDEX ON mail (domain, claimed_at);
CREATE INDEX ON mail (created_at DESC, mail_id);

-- A domain that asked for patience: nothing goes there before.
CREATE TABLE domain_pause (
    domain     text PRIMARY KEY,
    times      integer NOT NULL CHECK (times > 0),
    not_before timestamptz NOT NULL
);

-- What mail servers sent back, as it came.
CREATE TABLE bounce (
    bounce_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mail_id     uuid REFERENCES mail,
    status      text NOT NULL,
    diagnostic  text NOT NULL,
    raw         bytea NOT NULL,
    received_at timestamptz NOT NULL
);
