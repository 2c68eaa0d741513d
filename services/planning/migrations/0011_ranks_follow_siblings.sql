-- Whether a sibling of the household is booked on a slot: two look-ups by key for each child of the household.
CREATE FUNCTION has_booked_sibling(the_household uuid, the_child uuid, the_activity uuid, the_day date)
RETURNS boolean LANGUAGE sql STABLE
    RETURN EXISTS (SELECT FROM household_child s
        JOIN booking b ON b.household_id = s.household_id AND b.child_id = s.child_id
        WHERE s.household_id = the_household AND s.child_id <> the_child
        AND b.activity_id = the_activity AND b.day = the_day AND b.booked);

-- Who waits is told from siblings as they are booked now, whatever booked or cancelled them. The places of the day are
-- locked by whoever changes a booking of it, as they are by whoever reads the order of its list to give a place.
CREATE FUNCTION follow_siblings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE waiting w SET has_sibling = NOT w.has_sibling
    FROM changed n JOIN household_child s ON s.household_id = n.household_id AND s.child_id <> n.child_id
    WHERE w.activity_id = n.activity_id AND w.day = n.day AND w.child_id = s.child_id
    AND w.household_id = s.household_id
    AND w.has_sibling <> has_booked_sibling(w.household_id, w.child_id, w.activity_id, w.day);
    RETURN NULL;
END $$;
CREATE TRIGGER siblings_follow_insert AFTER INSERT ON booking REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION follow_siblings();
CREATE TRIGGER siblings_follow_update AFTER UPDATE ON booking REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION follow_siblings();

UPDATE waiting SET has_sibling = has_booked_sibling(household_id, child_id, activity_id, day)
WHERE day >= current_date;

-- The order asks the activity when it is read, so that a changed rule holds at once, as it does for residents.
CREATE OR REPLACE VIEW waiting_list AS
    SELECT w.activity_id, w.day, w.child_id, w.household_id, w.waits_by, w.position,
        a.residents_first AND NOT w.is_resident AS is_outsider, NOT (a.siblings_first AND w.has_sibling) AS is_alone,
        w.offered_until
    FROM waiting w JOIN activity a USING (activity_id);
