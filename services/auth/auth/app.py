"""auth, wired."""

from aiohttp import web

from auth.api import HASHER, ROUTES, Hasher, use_own_keys
from auth.jobs import jobs
from auth.settings import NAME, SETTINGS, Settings
from chassis.broker import use_broker
from chassis.database import use_database
from chassis.http import application
from chassis.idempotency import use_idempotency
from chassis.identity import use_identity
from chassis.jobs import use_jobs
from chassis.outbox import use_outbox


def build(settings: Settings) -> web.Application:
    """The application of auth."""
    app = application(NAME, settings)
    app[SETTINGS] = settings
    app[HASHER] = Hasher(settings)
    use_database(app, settings)
    use_broker(app, settings)
    use_identity(app, settings, audience=NAME, keys=use_own_keys(app))
    use_idempotency(app)
    use_outbox(app, settings)
    use_jobs(app, jobs)
    app.add_routes(ROUTES)
    return app
