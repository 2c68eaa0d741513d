"""notifier's doors."""

from notifier.api import announcements, log, preferences, previews

ROUTES = (*preferences.routes, *log.routes, *announcements.routes, *previews.routes)
