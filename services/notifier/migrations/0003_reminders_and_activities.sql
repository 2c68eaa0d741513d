-- Reminders of unpaid invoices: sent unless a guardian left them.
ALTER TABLE preference ADD COLUMN reminders boolean NOT NULL DEFAULT true;

-- Which activities a child is enrolled in, as planning said it last, and the last day it was ever booked on: a booking
-- may outlive its enrolment. And which children a household has now, as auth said.
CREATE TABLE enrolment (
    household_id   uuid NOT NULL,
    child_id       uuid NOT NULL,
    activity_id    uuid NOT NULL,
    activity_label text NOT NULL,
    last_day       date,
    booked_until   date,
    version        bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (household_id, child_id, activity_id)
);
CREATE INDEX ON enrolment (activity_id);
ALTER TABLE household ADD COLUMN children uuid[] NOT NULL DEFAULT '{}';

ALTER TABLE announcement
    ADD COLUMN activity_id uuid,
    ADD COLUMN activity_label text CHECK ((activity_label IS NULL) = (activity_id IS NULL)),
    ADD CHECK (school IS NULL OR activity_id IS NULL);

-- Whether a message for one school, one activity, or all, is for that household on that day.
CREATE FUNCTION is_for(the_household uuid, the_school text, the_activity uuid, day date) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN (the_school IS NULL AND the_activity IS NULL) OR EXISTS (
        SELECT FROM household h WHERE h.household_id = the_household AND (
            the_school = ANY (h.schools) OR EXISTS (
                SELECT FROM enrolment e WHERE e.household_id = h.household_id AND e.activity_id = the_activity
                AND e.child_id = ANY (h.children) AND greatest(e.last_day, e.booked_until) >= day)));
