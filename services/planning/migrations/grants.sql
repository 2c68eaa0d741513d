-- What the running program may do, table by table; `migrate` applies this file each time, and revokes what is not in it.
-- What others tell: households, guardians, residences.
GRANT SELECT, INSERT, UPDATE ON household, household_child, guardian, residence TO :running_role;
GRANT SELECT, INSERT, DELETE ON residence_from TO :running_role;
-- The town's year and its activities.
GRANT SELECT, INSERT, UPDATE ON activity TO :running_role;
GRANT SELECT, INSERT ON school_holiday, public_holiday TO :running_role;
GRANT SELECT, INSERT, UPDATE (reason) ON closure TO :running_role;
GRANT SELECT, INSERT, UPDATE (holiday) ON school_day TO :running_role;
GRANT SELECT, UPDATE (version) ON calendar_version TO :running_role;
-- Enrolments, bookings, places.
GRANT SELECT, INSERT, DELETE, UPDATE (first_day, last_day, version) ON enrolment TO :running_role;
GRANT SELECT, INSERT, UPDATE (booked, version) ON booking TO :running_role;
GRANT SELECT, INSERT, UPDATE (booked, held) ON occupation TO :running_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON waiting, feed TO :running_role;
GRANT SELECT, INSERT, UPDATE ON attendance TO :running_role;
GRANT SELECT ON waiting_list, day_of_who_left TO :running_role;
-- Who changed what, and when, is never rewritten.
GRANT SELECT, INSERT ON booking_change, enrolment_change TO :running_role;
