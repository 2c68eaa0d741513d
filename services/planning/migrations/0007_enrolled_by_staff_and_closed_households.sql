-- A household that auth says is closed keeps its name, and nothing of the days to come that can still be cancelled.
ALTER TABLE household ADD COLUMN active boolean NOT NULL DEFAULT true;

-- Who enrolled a child, changed the dates or ended it, when and how.
CREATE TABLE enrolment_change (
    position     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    household_id uuid NOT NULL,
    child_id     uuid NOT NULL,
    activity_id  uuid NOT NULL,
    first_day    date NOT NULL,
    last_day     date NOT NULL,
    version      bigint NOT NULL CHECK (version > 0),
    channel      text NOT NULL CHECK (channel IN ('town_hall', 'import')),
    changed_by   uuid NOT NULL,
    changed_at   timestamptz NOT NULL
);
CREATE INDEX ON enrolment_change (household_id, child_id, activity_id, position DESC);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON enrolment_change
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What is booked and waited for by the children of closed households, and by those who left theirs.
CREATE VIEW day_of_who_left AS
    SELECT b.household_id, b.child_id, c.first_name, b.activity_id, a.label, b.day, false AS waits
    FROM household h JOIN household_child c USING (household_id) JOIN booking b USING (household_id, child_id)
    JOIN activity a USING (activity_id) WHERE b.booked AND NOT (h.active AND c.present)
    UNION ALL
    SELECT w.household_id, w.child_id, c.first_name, w.activity_id, a.label, w.day, true
    FROM household h JOIN household_child c USING (household_id) JOIN waiting w USING (household_id, child_id)
    JOIN activity a USING (activity_id) WHERE NOT (h.active AND c.present);
