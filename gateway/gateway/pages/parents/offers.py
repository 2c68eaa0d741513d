"""A place on offer, answered from whichever page shows it."""

from aiohttp import web
from pydantic import ValidationError

from contracts.api.bookings import BookingOutcome
from contracts.api.months import OfferAnswer
from contracts.failures import Invalid
from gateway.clients.services import SERVICES
from gateway.forms.fields import choice, hidden, id_field
from gateway.languages import N_
from gateway.pages.shared.access import require_household
from gateway.pages.shared.booking_recap import recap
from gateway.pages.shared.rendering import checked_form

ACTIONS = {"accepter": "accept", "laisser": "decline"}
ANSWER = {
    "child": id_field(N_("Enfant")),
    "activity": id_field(N_("Activité")),
    "day": hidden(N_("Jour")),
    "reponse": choice(N_("Réponse"), *ACTIONS, always=True),
}

routes = web.RouteTableDef()


@routes.post("/offres")
async def answer(request: web.Request) -> web.Response:
    """Accept a place or let it go, and show the recap; sent again with the same key, it is the same recap."""
    form = await checked_form(request, ANSWER)
    session, person, household = await require_household(request)
    action = ACTIONS[form["reponse"]]
    try:
        body = OfferAnswer(
            child_id=form.get("child"),
            activity_id=form.get("activity"),
            day=form.get("day"),
            seen_version=form.get("version"),
        )
    except ValidationError as error:
        raise Invalid("the form cannot be read", errors=[]) from error
    path, key = f"{household}/offers/{action}", form.get("key")
    services = request.app[SERVICES]
    outcome = await services.call(session, "planning", path, BookingOutcome, method="POST", body=body, key=key)
    return recap(request, person, body.child_id, body.day.replace(day=1), (outcome,), sent_ticks=False)
