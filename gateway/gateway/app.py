"""The gateway, wired."""

from aiohttp import web

from chassis.http import application
from gateway import assets, town
from gateway.api import limits, v1, webhooks
from gateway.clients.services import use_services
from gateway.live import use_hub
from gateway.pages.parents import account, calendar_feed, fill_days, home, invoices, offers, payments, planning
from gateway.pages.shared import api_guide, first_sign_in, guide, language, sign_in
from gateway.pages.shared.problems import one_host, problem, signed_out, with_security_headers
from gateway.pages.shared.rendering import network_key
from gateway.pages.town_hall import (
    attendance,
    bank_journal,
    bank_payments,
    calendar,
    cash_desk,
    credit_days,
    credit_notes,
    design,
    families,
    household,
    invoice_runs,
    mails,
    messages,
    reminders,
    schools,
    tariffs,
)
from gateway.pages.town_hall import home as town_hall_home
from gateway.settings import NAME, SETTINGS, Settings


def build(settings: Settings) -> web.Application:
    """The application of the gateway."""
    app = application(NAME, settings, render=problem, network_of=network_key)
    app[SETTINGS] = settings
    app[town.BRANDING] = town.load_branding(settings)
    app.middlewares.extend((one_host, language.in_language, signed_out))
    app.on_response_prepare.extend((with_security_headers, v1.add_rate_limit_headers))
    app[limits.LIMITS] = limits.Limits(settings.api_requests_a_minute)
    use_services(app)
    use_hub(app)
    for part in (
        *(language, sign_in, first_sign_in, account, calendar_feed, home, guide, fill_days, planning, offers, invoices),
        *(payments, town_hall_home, design, families, schools, household, messages, mails, calendar, attendance),
        *(invoice_runs, tariffs, cash_desk, credit_notes, credit_days, reminders, bank_payments, bank_journal),
        *(webhooks, api_guide, assets, town),
    ):
        app.add_routes(part.routes)
    app.add_routes(v1.routes())
    return app
