"""planning's doors."""

from planning.api import activities, attendance, feeds, households, plans

ROUTES = (*activities.routes, *attendance.routes, *households.routes, *plans.routes, *feeds.routes)
