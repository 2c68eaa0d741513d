"""planning's doors."""

from planning.api import activities, households

ROUTES = (*activities.routes, *households.routes)
