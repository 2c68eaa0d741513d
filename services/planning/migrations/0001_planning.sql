-- The households' children, as auth tells of them.
CREATE TABLE household (
    household_id uuid PRIMARY KEY,
    version      bigint NOT NULL CHECK (version > 0)
);

CREATE TABLE household_child (
    household_id uuid NOT NULL REFERENCES household,
    child_id     uuid NOT NULL,
    first_name   text NOT NULL,
    last_name    text NOT NULL,
    school       text NOT NULL,
    class_name   text NOT NULL,
    custody      text NOT NULL CHECK (custody IN ('free', 'even_weeks', 'odd_weeks')),
    position     integer NOT NULL,
    present      boolean NOT NULL DEFAULT true,
    bookings_version bigint NOT NULL DEFAULT 0 CHECK (bookings_version >= 0),
    PRIMARY KEY (household_id, child_id)
);
CREATE INDEX ON household_child (child_id);

CREATE TABLE activity (
    activity_id       uuid PRIMARY KEY,
    label             text NOT NULL,
    period            text NOT NULL CHECK (period IN ('school_days', 'wednesdays', 'small_holidays', 'summer')),
    weekdays          integer[] NOT NULL CHECK (cardinality(weekdays) BETWEEN 1 AND 7),
    first_day         date NOT NULL,
    last_day          date NOT NULL CHECK (last_day >= first_day),
    booking_notice    jsonb NOT NULL,
    cancelling_notice jsonb NOT NULL,
    capacity          integer CHECK (capacity >= 0),
    position          integer NOT NULL
);

-- Days of school holidays and public holidays; filled from published calendars, staff may correct them.
CREATE TABLE school_holiday (
    zone  text NOT NULL CHECK (zone IN ('A', 'B', 'C')),
    day   date NOT NULL,
    label text NOT NULL,
    PRIMARY KEY (zone, day)
);
CREATE TABLE public_holiday (
    day   date PRIMARY KEY,
    label text NOT NULL
);

CREATE TABLE closure (
    closure_id  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    day         date NOT NULL,
    activity_id uuid REFERENCES activity,
    reason      text NOT NULL,
    UNIQUE NULLS NOT DISTINCT (day, activity_id)
);

CREATE TABLE enrolment (
    household_id uuid NOT NULL,
    child_id     uuid NOT NULL,
    activity_id  uuid NOT NULL REFERENCES activity,
    first_day    date NOT NULL,
    last_day     date NOT NULL CHECK (last_day >= first_day),
    PRIMARY KEY (household_id, child_id, activity_id),
    FOREIGN KEY (household_id, child_id) REFERENCES household_child
);

-- A day of an activity for a household's child, once somebody has touched it; the version tells when it last changed.
CREATE TABLE booking (
    household_id uuid NOT NULL,
    child_id     uuid NOT NULL,
    activity_id  uuid NOT NULL REFERENCES activity,
    day          date NOT NULL,
    booked       boolean NOT NULL,
    version      bigint NOT NULL CHECK (version > 0),
    PRIMARY KEY (child_id, day, activity_id, household_id),
    FOREIGN KEY (household_id, child_id) REFERENCES household_child
);
CREATE UNIQUE INDEX one_household_a_day ON booking (child_id, activity_id, day) WHERE booked;
CREATE INDEX ON booking (activity_id, day) WHERE booked;

-- How many children are booked on a day of an activity with a capacity; the row is the lock.
CREATE TABLE occupation (
    activity_id uuid NOT NULL REFERENCES activity,
    day         date NOT NULL,
    booked      integer NOT NULL CHECK (booked >= 0),
    PRIMARY KEY (activity_id, day)
);

CREATE TABLE booking_change (
    position     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    household_id uuid NOT NULL,
    child_id     uuid NOT NULL,
    activity_id  uuid NOT NULL,
    day          date NOT NULL,
    booked       boolean NOT NULL,
    channel      text NOT NULL CHECK (channel IN ('internet', 'town_hall', 'import', 'automatic')),
    changed_by   uuid NOT NULL,
    changed_at   timestamptz NOT NULL
);
CREATE INDEX ON booking_change (household_id, child_id, position DESC);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON booking_change
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
