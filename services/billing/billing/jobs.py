"""What the clock starts."""

from datetime import timedelta

from aiohttp import web

from billing.settings import SETTINGS
from billing.store import checkouts, invoices
from billing.store.pdfs import invoices_without_pdf, kept_pdf
from chassis.clock import now
from chassis.database import DATABASE
from chassis.jobs import Jobs
from contracts.api.billing import CheckoutStatus

PDF_BATCH = 20

jobs = Jobs()


@jobs.every(seconds=60, wake_on="invoice_published")
async def make_pdfs(app: web.Application) -> None:
    """Make the PDF of each new invoice before a parent asks for it."""
    while True:
        async with app[DATABASE].transaction() as tx:
            waiting = await invoices_without_pdf(tx, PDF_BATCH)
            models = [await invoices.invoice(tx, *each) for each in waiting]
        for model in models:
            if model is not None:
                await kept_pdf(app[DATABASE], model)
        if len(waiting) < PDF_BATCH:
            return


@jobs.every(seconds=60)
async def release_overdue_checkouts(app: web.Application) -> None:
    """Let go of checkouts that nobody went to pay: every attempt begun in time has ended by now."""
    before = now() - timedelta(seconds=app[SETTINGS].checkout_grace_seconds)
    async with app[DATABASE].transaction() as tx:
        for checkout_id in await checkouts.overdue(tx, before):
            await invoices.lock_invoices(tx, await checkouts.invoice_ids(tx, checkout_id))
            await checkouts.close(tx, checkout_id, CheckoutStatus.RELEASED)
