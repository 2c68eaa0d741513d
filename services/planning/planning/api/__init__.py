"""planning's doors."""

from planning.api import activities, attendance, enrolments, feeds, households, plans

ROUTES = (*activities.routes, *attendance.routes, *households.routes, *enrolments.routes, *plans.routes, *feeds.routes)
