-- The locks of a change, taken in the one order that everybody keeps, without a way back and forth for each: that a day
-- is not being closed meanwhile, the places of the days (counted the first time), the children. Each of the four steps
-- sees what was committed while the one before it waited.
CREATE FUNCTION take_locks(the_activities uuid[], the_days date[], the_children uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('planning.calendar'));
    INSERT INTO occupation (activity_id, day, booked)
        SELECT s.activity_id, s.day, (SELECT count(*) FROM booking b
            WHERE b.activity_id = s.activity_id AND b.day = s.day AND b.booked)
        FROM unnest(the_activities, the_days) AS s (activity_id, day)
        JOIN activity a USING (activity_id) WHERE a.capacity IS NOT NULL OR a.school_capacities <> '{}'
        ORDER BY 1, 2 ON CONFLICT DO NOTHING;
    PERFORM FROM occupation WHERE (activity_id, day) IN (SELECT * FROM unnest(the_activities, the_days))
        ORDER BY activity_id, day FOR UPDATE;
    PERFORM FROM household_child WHERE child_id = ANY(the_children) ORDER BY child_id, household_id FOR UPDATE;
END $$;
