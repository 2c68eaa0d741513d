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
