"""notifier, wired."""

from collections.abc import AsyncIterator

from aiohttp import web

from chassis.broker import use_broker
from chassis.database import use_database
from chassis.http import application
from chassis.idempotency import use_idempotency
from chassis.identity import use_identity
from chassis.inbox import use_consumers
from chassis.jobs import use_jobs
from notifier.api import ROUTES
from notifier.channels import CHANNEL, Channel
from notifier.channels.smtp import Smtp
from notifier.consumers import consumers
from notifier.jobs import jobs
from notifier.settings import NAME, SETTINGS, Settings


def build(settings: Settings) -> web.Application:
    """The application of notifier."""
    app = application(NAME, settings)
    app[SETTINGS] = settings
    use_database(app, settings)
    use_broker(app, settings)
    use_identity(app, settings, audience=NAME)
    use_idempotency(app)
    use_consumers(app, consumers, settings)
    _use_channel(app, Smtp(settings))
    use_jobs(app, jobs)
    app.add_routes(ROUTES)
    return app


def _use_channel(app: web.Application, channel: Channel) -> None:
    app[CHANNEL] = channel

    async def run(_app: web.Application) -> AsyncIterator[None]:
        yield
        await channel.stop()

    app.cleanup_ctx.append(run)
