"""notifier's doors."""

from notifier.api import announcements, log, preferences

ROUTES = (*preferences.routes, *log.routes, *announcements.routes)
