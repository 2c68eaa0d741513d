"""What says whether the calendar is right."""

from chassis.health_metrics import Gauge, HealthMetric

HEALTH_METRICS = (
    HealthMetric(
        name="places_miscounted",
        description="days whose count of places is not that of their bookings and offers",
        query="SELECT count(*) FROM occupation WHERE day >= current_date AND booked <> (SELECT count(*) FROM booking "
        "WHERE booking.booked AND booking.activity_id = occupation.activity_id AND booking.day = occupation.day) "
        "OR day >= current_date AND held <> (SELECT count(*) FROM waiting WHERE offered_until IS NOT NULL "
        "AND waiting.activity_id = occupation.activity_id AND waiting.day = occupation.day)",
        threshold=0,
        for_minutes=0,
        remedy="A place may be given twice or not at all: keep the database's log and ask who maintains Préau.",
    ),
)
GAUGES = (
    Gauge(
        name="booked_today",
        description="places booked for today, over all activities",
        query="SELECT count(*) FROM activity JOIN booking USING (activity_id) "
        "WHERE booked AND day = (now() AT TIME ZONE 'Europe/Paris')::date",
    ),
)
