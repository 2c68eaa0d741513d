"""The gateway, wired."""

from aiohttp import web

from chassis.http import application
from gateway import assets, town
from gateway.api import limits, v1, webhooks
from gateway.live import use_hub
from gateway.pages import (
    account,
    api_guide,
    attendance,
    bank_journal,
    bank_payments,
    calendar_feed,
    credit_days,
    credit_notes,
    design,
    families,
    first_time,
    guide,
    home,
    household,
    invoices,
    language,
    mails,
    messages,
    offers,
    payments,
    planning,
    plans,
    reminders,
    runs,
    schools,
    sign_in,
    tariffs,
    till,
    town_calendar,
    town_hall,
)
from gateway.pages.problems import one_host, problem, signed_out, with_security_headers
from gateway.pages.rendering import network_of
from gateway.services import use_services
from gateway.settings import NAME, SETTINGS, Settings


def build(settings: Settings) -> web.Application:
    """The application of the gateway."""
    app = application(NAME, settings, render=problem, network_of=network_of)
    app[SETTINGS] = settings
    app[town.FACE] = town.face_of(settings)
    app.middlewares.extend((one_host, language.in_language, signed_out))
    app.on_response_prepare.extend((with_security_headers, v1.tell_limits))
    app[limits.LIMITS] = limits.Limits(settings.api_requests_a_minute)
    use_services(app)
    use_hub(app)
    for part in (
        *(language, sign_in, first_time, account, calendar_feed, home, guide, plans, planning, offers, invoices),
        *(payments, town_hall, design, families, schools, household, messages, mails, town_calendar, attendance),
        *(runs, tariffs, till, credit_notes, credit_days, reminders, bank_payments, bank_journal, webhooks, api_guide),
        *(assets, town),
    ):
        app.add_routes(part.routes)
    app.add_routes(v1.routes())
    return app
