"""planning's doors."""

from planning.api import activities, attendance, enrolments, feeds, households, offers, plans

ROUTES = (
    *(*activities.routes, *attendance.routes, *households.routes, *offers.routes),
    *(*enrolments.routes, *plans.routes, *feeds.routes),
)
