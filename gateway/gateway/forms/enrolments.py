"""What the children of a household are enrolled in: read for its page, and the form that changes it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from aiohttp import web

from contracts.api.enrolments import ChildEnrolments, EnrolmentBook, EnrolmentRequest
from gateway.clients.services import SERVICES, UpstreamError, or_none
from gateway.forms.amounts import parse_optional_day
from gateway.forms.fields import SubmittedForm, hidden, id_field, line
from gateway.languages import short_day

NOT_KNOWN_YET = "Le planning n'a pas encore reçu cet enfant : rechargez la page dans un instant."
MOVED = "Quelqu'un a modifié cette inscription entre-temps{now}. Rien n'a été enregistré : vérifiez, puis recommencez."
OTHER_SCHOOLS = "Cette activité n'est pas pour les élèves de son école."
NO_ACTIVITY = "Choisissez l'activité."
NO_DAY = "Donnez {which} jour, par exemple 01/09/2026."
NOT_IN_ORDER = "Le dernier jour ({last}) vient avant le premier ({first})."

VERSION = re.compile(r"[0-9]{1,15}")
ENROLMENT = {
    "child_id": id_field("Enfant", always=True),
    "activity": hidden("Activité"),
    "first_day": line("Du", always=True),
    "last_day": line("Jusqu'au", always=True),
}


@dataclass
class Typed:
    """A form as it was sent."""

    child_id: str
    activity_id: str
    version: str
    first_day: str
    last_day: str
    wrong: dict[str, str] = field(default_factory=dict)

    def is_about(self, child_id: UUID, activity_id: UUID) -> bool:
        """Whether the form was that of this child and activity."""
        return (self.child_id, self.activity_id) == (str(child_id), str(activity_id))


async def book(request: web.Request, session: str, household_id: UUID) -> dict[UUID, ChildEnrolments] | None:
    """What planning knows, by child; None while it is away."""
    path = f"/households/{household_id}/enrolments"
    found = await or_none(request.app[SERVICES].call(session, "planning", path, EnrolmentBook))
    return None if found is None else {each.child.child_id: each for each in found.children}


def read(sent: SubmittedForm) -> Typed:
    """The form as it came back; an activity comes with the version of the enrolment that was shown."""
    activity_id, _, version = sent.get("activity").partition("|")
    return Typed(sent.get("child_id"), activity_id, version, sent.get("first_day"), sent.get("last_day"))


def to_request(typed: Typed, known: Mapping[UUID, ChildEnrolments]) -> EnrolmentRequest | None:
    """What the form wishes; without a last day, until the activity ends. None when ``typed.wrong`` says why not."""
    child = next((each for child_id, each in known.items() if str(child_id) == typed.child_id), None)
    if child is None:
        typed.wrong["activity"] = NOT_KNOWN_YET
        return None
    if not typed.activity_id or not VERSION.fullmatch(typed.version):
        typed.wrong["activity"] = NO_ACTIVITY
        return None
    ends = {str(each.activity_id): each.last_day for each in child.choices}
    first = _day(typed, "first_day", "le premier")
    last = _day(typed, "last_day", "le dernier") or ends.get(typed.activity_id)
    if first is None:
        typed.wrong.setdefault("first_day", NO_DAY.format(which="le premier"))
    if last is None:
        typed.wrong.setdefault("last_day", NO_DAY.format(which="le dernier"))
    if typed.wrong or first is None or last is None:
        return None
    if last < first:
        typed.wrong["last_day"] = NOT_IN_ORDER.format(first=f"{first:%d/%m/%Y}", last=f"{last:%d/%m/%Y}")
        return None
    return EnrolmentRequest(first_day=first, last_day=last, seen_version=int(typed.version))


def _day(typed: Typed, name: str, which: str) -> date | None:
    try:
        return parse_optional_day(getattr(typed, name))
    except ValueError:
        typed.wrong[name] = NO_DAY.format(which=which)
        return None


def refused(typed: Typed, error: UpstreamError) -> None:
    """Say on the form what planning said; raises anything that is not about the form."""
    match error.upstream_code:
        case "enrolment_moved":
            days = [
                short_day(date.fromisoformat(error.facts[name])) for name in ("first_day", "last_day") if error.facts
            ]
            typed.wrong["activity"] = MOVED.format(now=" : elle va du {} au {}".format(*days) if days else "")
        case "no_such_child":
            typed.wrong["activity"] = NOT_KNOWN_YET
        case "not_for_the_school":
            typed.wrong["activity"] = OTHER_SCHOOLS
        case _:
            raise error
