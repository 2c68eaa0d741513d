"""The gateway, wired."""

from pathlib import Path

from aiohttp import web

from chassis.http import application
from gateway.api import webhooks
from gateway.live import use_hub
from gateway.pages import account, families, first_time, invoices, payments, planning, sign_in, town_hall
from gateway.pages.problems import one_host, problem_page, signed_out, with_security_headers
from gateway.services import use_services
from gateway.settings import NAME, SETTINGS, Settings

STATIC = Path(__file__).parent / "static"


def build(settings: Settings) -> web.Application:
    """The application of the gateway."""
    app = application(NAME, settings, render=problem_page)
    app[SETTINGS] = settings
    app.middlewares.extend((one_host, signed_out))
    app.on_response_prepare.append(with_security_headers)
    use_services(app)
    use_hub(app)
    for part in (sign_in, first_time, account, planning, invoices, payments, town_hall, families, webhooks):
        app.add_routes(part.routes)
    app.router.add_static("/static", STATIC)
    return app
