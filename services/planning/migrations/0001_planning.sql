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
    period            text NOT NULL
        CHECK (period IN ('school_days', 'wednesdays', 'small_holidays', 'summer', 'explicit')),
    weekdays          integer[] NOT NULL CHECK (cardinality(weekdays) BETWEEN 1 AND 7),
    first_day         date NOT NULL,
    last_day          date NOT NULL CHECK (last_day >= first_day),
    booking_notice    jsonb NOT NULL,
    cancelling_notice jsonb NOT NULL,
    capacity          integer CHECK (capacity >= 0),
    position          integer NOT NULL,
    days              date[] NOT NULL CHECK ((cardinality(days) > 0) = (period = 'explicit')),
    schools           text[] NOT NULL,
    opens_at          timestamptz,
    siblings_first    boolean NOT NULL
);

-- Days of school holidays and public holidays, filled from published calendars.
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

-- What a decree changed in the school calendar: a holiday by its name, or (NULL) a day of school. It outranks the above.
CREATE TABLE school_day (
    day     date PRIMARY KEY,
    holiday text
);

CREATE TABLE closure (
    closure_id  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    day         date NOT NULL,
    activity_id uuid REFERENCES activity,
    school      text,
    reason      text NOT NULL,
    UNIQUE NULLS NOT DISTINCT (day, activity_id, school)
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

-- A day that is one household's by name, whatever the parity of its week.
CREATE TABLE custody_day (
    child_id     uuid NOT NULL,
    day          date NOT NULL,
    household_id uuid NOT NULL,
    PRIMARY KEY (child_id, day),
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

-- Whatever the code does: a place more is taken only while the activity's capacity allows it.
CREATE FUNCTION refuse_overbooking() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.booked > (SELECT capacity FROM activity WHERE activity_id = NEW.activity_id) THEN
        RAISE EXCEPTION 'activity % is full on %', NEW.activity_id, NEW.day USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER never_overbooked BEFORE UPDATE ON occupation
    FOR EACH ROW WHEN (NEW.booked > OLD.booked) EXECUTE FUNCTION refuse_overbooking();

-- Who waits for a place of a full day. Positions are drawn under the day's lock, so they are the order of arrival.
CREATE TABLE waiting (
    activity_id  uuid NOT NULL REFERENCES activity,
    day          date NOT NULL,
    child_id     uuid NOT NULL,
    household_id uuid NOT NULL,
    position     bigint GENERATED ALWAYS AS IDENTITY,
    has_sibling  boolean NOT NULL,
    waits_by     uuid NOT NULL,
    waits_since  timestamptz NOT NULL,
    PRIMARY KEY (activity_id, day, child_id),
    FOREIGN KEY (household_id, child_id) REFERENCES household_child
);
CREATE INDEX ON waiting (child_id, day);

CREATE TABLE booking_change (
    position     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    household_id uuid NOT NULL,
    child_id     uuid NOT NULL,
    activity_id  uuid NOT NULL,
    day          date NOT NULL,
    booked       boolean NOT NULL,
    waiting      boolean NOT NULL DEFAULT false,
    version      bigint NOT NULL CHECK (version > 0),
    channel      text NOT NULL
        CHECK (channel IN ('internet', 'town_hall', 'import', 'automatic', 'waiting_list')),
    changed_by   uuid NOT NULL,
    changed_at   timestamptz NOT NULL
);
-- « Mes dernières modifications » by activity, and one change by its version.
CREATE INDEX ON booking_change (household_id, child_id, activity_id, position DESC);
CREATE INDEX ON booking_change (household_id, child_id, version);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON booking_change
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What became of a child's day; the version grows with each change of it.
CREATE TABLE attendance (
    activity_id  uuid NOT NULL REFERENCES activity,
    day          date NOT NULL,
    child_id     uuid NOT NULL,
    household_id uuid NOT NULL,
    presence     text NOT NULL CHECK (presence IN ('present', 'absent', 'justified', 'extra')),
    version      bigint NOT NULL CHECK (version > 0),
    recorded_by  uuid NOT NULL,
    recorded_at  timestamptz NOT NULL,
    PRIMARY KEY (activity_id, day, child_id),
    FOREIGN KEY (household_id, child_id) REFERENCES household_child
);
