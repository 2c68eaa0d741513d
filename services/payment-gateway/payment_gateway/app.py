"""payment-gateway, wired."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from chassis.broker import use_broker
from chassis.database import use_database
from chassis.http import application
from chassis.idempotency import use_idempotency
from chassis.identity import use_identity
from chassis.inbox import use_consumers
from chassis.jobs import use_jobs
from chassis.outbox import use_outbox
from chassis.tasks import cancel_and_wait
from payment_gateway.api import ROUTES
from payment_gateway.banks import BANKS, Bank
from payment_gateway.banks.checking import check
from payment_gateway.banks.lyra import Lyra
from payment_gateway.banks.paybox import Paybox
from payment_gateway.banks.payfip import PayFiP
from payment_gateway.banks.stripe import Stripe
from payment_gateway.consumers import consumers
from payment_gateway.jobs import jobs
from payment_gateway.settings import NAME, SETTINGS, Settings


def build(settings: Settings) -> web.Application:
    """The application of payment-gateway."""
    app = application(NAME, settings)
    app[SETTINGS] = settings
    use_database(app, settings)
    use_broker(app, settings)
    use_identity(app, settings, audience=NAME)
    use_idempotency(app)
    _use_banks(app, *accounts(settings))
    use_outbox(app, settings)
    use_consumers(app, consumers, settings)
    use_jobs(app, jobs)
    app.add_routes(ROUTES)
    return app


def accounts(settings: Settings) -> tuple[Bank, ...]:
    """Every account that is configured, the town's first contract first."""
    return (
        PayFiP(settings),
        *(Lyra(settings, account) for account in settings.lyra_accounts),
        *(Paybox(settings, account) for account in settings.paybox_accounts),
        *(Stripe(settings, account) for account in settings.stripe_accounts),
    )


def _use_banks(app: web.Application, *banks: Bank) -> None:
    app[BANKS] = {bank.name: bank for bank in banks}

    async def run(app: web.Application) -> AsyncIterator[None]:
        for bank in banks:
            await bank.start()
        checks = [asyncio.create_task(check(app[SETTINGS], bank)) for bank in banks]
        yield
        await cancel_and_wait(*checks)
        for bank in banks:
            await bank.stop()

    app.cleanup_ctx.append(run)
