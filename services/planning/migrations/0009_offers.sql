-- For how long a place that comes free is offered to who waits; without, it is given at once.
ALTER TABLE activity ADD COLUMN offer_hours integer CHECK (offer_hours BETWEEN 1 AND 168);

-- A place that is offered is held: nobody else has it until it is accepted, refused, or the offer is over.
ALTER TABLE waiting ADD COLUMN offered_until timestamptz;
CREATE INDEX ON waiting (offered_until) WHERE offered_until IS NOT NULL;
ALTER TABLE occupation ADD COLUMN held integer NOT NULL DEFAULT 0 CHECK (held >= 0);

-- Whatever the code does: a place more is taken or held only while the activity's capacity allows it.
CREATE OR REPLACE FUNCTION refuse_overbooking() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.booked + NEW.held > (SELECT capacity FROM activity WHERE activity_id = NEW.activity_id) THEN
        RAISE EXCEPTION 'activity % is full on %', NEW.activity_id, NEW.day USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER never_overbooked ON occupation;
CREATE TRIGGER never_overbooked BEFORE UPDATE ON occupation FOR EACH ROW
    WHEN (NEW.booked + NEW.held > OLD.booked + OLD.held) EXECUTE FUNCTION refuse_overbooking();

CREATE OR REPLACE VIEW waiting_list AS
    SELECT w.activity_id, w.day, w.child_id, w.household_id, w.waits_by, w.position,
        a.residents_first AND NOT w.is_resident AS is_outsider, NOT w.has_sibling AS is_alone, w.offered_until
    FROM waiting w JOIN activity a USING (activity_id);

-- The same for the places of a school. Who takes a place that was offered was counted when it was, and still waits.
CREATE FUNCTION refuse_overbooking_of_school() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT n.activity_id, n.day, c.school INTO wrong
    FROM changed n JOIN activity a ON a.activity_id = n.activity_id AND a.school_capacities <> '{}'
    JOIN household_child c ON c.household_id = n.household_id AND c.child_id = n.child_id
    WHERE n.booked AND a.school_capacities ? c.school
    AND NOT EXISTS (SELECT FROM waiting w
        WHERE w.activity_id = n.activity_id AND w.day = n.day AND w.child_id = n.child_id)
    AND (a.school_capacities ->> c.school)::integer < (
        SELECT count(*) FROM booking b JOIN household_child s USING (household_id, child_id)
        WHERE b.activity_id = n.activity_id AND b.day = n.day AND b.booked AND s.school = c.school
    ) + (
        SELECT count(*) FROM waiting w JOIN household_child s USING (household_id, child_id)
        WHERE w.activity_id = n.activity_id AND w.day = n.day AND w.offered_until IS NOT NULL AND s.school = c.school
    )
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'activity % is full on % for %', wrong.activity_id, wrong.day, wrong.school
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER never_overbooked_by_insert AFTER INSERT ON booking REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_overbooking_of_school();
CREATE TRIGGER never_overbooked_by_update AFTER UPDATE ON booking REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_overbooking_of_school();
