"""notifier's doors."""

from notifier.api import announcements, preferences

ROUTES = (*preferences.routes, *announcements.routes)
