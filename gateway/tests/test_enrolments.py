"""The form of an enrolment: what is typed wrong is named, and a child that planning does not know is told kindly."""

from datetime import date
from uuid import uuid4

import pytest
from multidict import MultiDict

from contracts.api.enrolments import ChildEnrolments, ChildView, EnrolmentChoice
from contracts.events.auth import Custody
from gateway.forms import enrolments
from gateway.forms.fields import SubmittedForm, read

CHILD, CANTEEN = uuid4(), uuid4()
KNOWN = {
    CHILD: ChildEnrolments(
        child=ChildView(
            child_id=CHILD,
            first_name="Léa",
            last_name="Neuve",
            school="Prévert",
            class_name="CP",
            custody=Custody.FREE,
            enrolled=False,
        ),
        enrolments=(),
        choices=(
            EnrolmentChoice(
                activity_id=CANTEEN,
                label="Cantine",
                first_day=date(2026, 9, 1),
                last_day=date(2027, 7, 2),
                version=0,
            ),
        ),
    )
}
SENT = {"child_id": str(CHILD), "activity": f"{CANTEEN}|0", "first_day": "2026-11-30", "last_day": ""}


def sent(**typed: str) -> SubmittedForm:
    return read(enrolments.ENROLMENT, MultiDict({**SENT, **typed}))


def test_without_a_last_day_it_lasts_as_long_as_the_activity() -> None:
    payload = enrolments.to_request(enrolments.read(sent()), KNOWN)
    assert payload is not None
    assert (payload.first_day, payload.last_day, payload.seen_version) == (date(2026, 11, 30), date(2027, 7, 2), 0)
    assert not payload.cancel_bookings


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"activity": ""}, "activity", "Choisissez l'activité"),
        ({"activity": f"{CANTEEN}|x"}, "activity", "Choisissez l'activité"),
        ({"first_day": ""}, "first_day", "Donnez le premier jour"),
        ({"first_day": "demain"}, "first_day", "Donnez le premier jour"),
        ({"last_day": "31/12"}, "last_day", "Donnez le dernier jour"),
        ({"last_day": "2026-11-29"}, "last_day", "vient avant le premier (30/11/2026)"),
        ({"child_id": str(uuid4())}, "activity", "pas encore reçu cet enfant"),
    ],
)
def test_what_is_typed_wrong_is_named_and_kept(typed: dict[str, str], field: str, message: str) -> None:
    form = enrolments.read(sent(**typed))
    assert enrolments.to_request(form, KNOWN) is None
    assert list(form.wrong) == [field]
    assert message in form.wrong[field]
    assert form.first_day == typed.get("first_day", "2026-11-30")
