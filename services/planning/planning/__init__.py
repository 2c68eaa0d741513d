"""Activities, calendars, closures, enrolments, bookings and their history."""
