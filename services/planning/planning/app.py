"""planning, wired."""

from aiohttp import web

from chassis.broker import use_broker
from chassis.database import use_database
from chassis.http import application
from chassis.idempotency import use_idempotency
from chassis.identity import use_identity
from chassis.inbox import use_consumers
from chassis.jobs import use_jobs
from chassis.outbox import use_outbox
from planning.api import ROUTES
from planning.api.batches import use_booking_queue
from planning.consumers import consumers
from planning.jobs import jobs
from planning.settings import NAME, SETTINGS, Settings


def build(settings: Settings) -> web.Application:
    """The application of planning."""
    app = application(NAME, settings)
    app[SETTINGS] = settings
    use_database(app, settings, plans_once=True)
    use_booking_queue(app)
    use_broker(app, settings)
    use_identity(app, settings, audience=NAME)
    use_idempotency(app)
    use_outbox(app, settings)
    use_consumers(app, consumers, settings)
    use_jobs(app, jobs)
    app.add_routes(ROUTES)
    return app
