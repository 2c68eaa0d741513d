"""The form of one household: what is typed wrong is named, what differs is told."""

from datetime import date
from uuid import uuid4

import pytest
from multidict import MultiDict

from contracts.api.auth import GuardianView, HouseholdList, HouseholdView
from contracts.events.auth import HouseholdChild, Span
from gateway.forms import household as household_form
from gateway.forms.fields import SubmittedForm, read

GUARDIAN = GuardianView(guardian_id=uuid4(), first_name="Ana", last_name="Neuve", email=None, identifier="ana1")
CHILD = HouseholdChild(
    child_id=uuid4(),
    first_name="Léa",
    last_name="Neuve",
    birth_date=date(2018, 4, 17),
    school="Prévert",
    class_name="CP",
)
VIEW = HouseholdView(
    household_id=uuid4(),
    version=3,
    reference="F-1",
    name="Famille Neuve",
    address=("1 rue Neuve", "00000 Saint-Aubin"),
    guardians=(GUARDIAN,),
    children=(CHILD,),
)


def sent(view: HouseholdView = VIEW, **changed: str) -> SubmittedForm:
    """The form of the household as a browser sends it back, some fields typed anew."""
    form = household_form.shown(view)
    fields = {"version": form.version, "name": form.name, "address": form.address.replace("\n", "\r\n")}
    fields["locale"] = form.locale
    for letter, rows in (("g", form.guardians), ("c", form.children)):
        fields |= {f"{letter}{n}_{name}": value for n, row in enumerate(rows) for name, value in row.items()}
    ticks = {name: value for name, value in {**fields, **changed}.items() if value or not name.endswith("_gone")}
    return read(household_form.FIELDS, MultiDict(ticks))


def test_a_form_sent_back_untouched_wishes_what_is_there() -> None:
    form = household_form.read(sent())
    payload = household_form.to_request(form)
    assert payload is not None
    assert (payload.seen_version, payload.name, payload.address) == (3, VIEW.name, VIEW.address)
    assert [each.guardian_id for each in payload.guardians] == [GUARDIAN.guardian_id]
    assert [each.child_id for each in payload.children] == [CHILD.child_id]
    assert household_form.differences(VIEW, form) == []


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("name", ""),
        ("address", "\n\n"),
        ("address", "\n".join("123456")),
        ("g0_email", "ana@"),
        ("g0_gone", "1"),
        ("g1_first_name", "Paul"),
        ("c0_birth_date", ""),
        ("c0_birth_date", "0015-03-02"),
        ("c0_birth_date", "1606780800"),
        ("c0_birth_date", "2199-01-01"),
        ("c0_school", ""),
        ("c0_days", "pendant les vacances"),
        ("c0_days", "du 31/02/2027 au 03/03/2027"),
        ("c0_days", "du 09/03/2027 au 03/03/2027"),
        ("c0_days", "du 19/12/2026 au 26/12/26"),
        ("c0_days", "du 19/12/2026 au 26/12/2026 et le 2/1/2027"),
        ("c0_days", "du 19/12/2026\nau 26/12/2026"),
        ("c0_days", "du 19/12/2026 au 26/12/9999"),
    ],
)
def test_what_is_typed_wrong_is_named_and_kept(field: str, text: str) -> None:
    form = household_form.read(sent(**{field: text}))
    assert household_form.to_request(form) is None
    assert len(form.wrong) == 1
    assert {*form.wrong} <= {field, "g0_first_name", "g1_last_name"}
    assert "26/12/26" not in text or "26/12/26" in form.wrong[field]


def test_custody_is_typed_by_day_or_by_first_and_last_day() -> None:
    payload = household_form.to_request(
        household_form.read(sent(c0_days="le 24/12/2026\r\nDu 1/3/2027 au 07/03/2027\r\n"))
    )
    assert payload is not None
    assert payload.children[0].custody_days == (
        Span(first_day=date(2026, 12, 24), last_day=date(2026, 12, 24)),
        Span(first_day=date(2027, 3, 1), last_day=date(2027, 3, 7)),
    )


def test_a_child_of_another_household_is_joined_by_its_name_and_birth_date() -> None:
    new = {"c1_first_name": "léa", "c1_last_name": "Neuve", "c1_birth_date": "2018-04-17", "c1_other": "F-1"}
    form = household_form.read(sent(c0_gone="1", **new))
    household_form.joined(form, 1, form.children[1], HouseholdList(households=(VIEW,)))
    assert form.children[1]["id"] == str(CHILD.child_id)
    stranger = household_form.read(sent(**{**new, "c1_birth_date": "2018-04-18"}))
    household_form.joined(stranger, 1, stranger.children[1], HouseholdList(households=(VIEW,)))
    assert list(stranger.wrong) == ["c1_other"]


def test_what_somebody_else_changed_is_told_beside_what_was_typed() -> None:
    moved = VIEW.model_copy(update={"version": 4, "name": "Famille Neuve-Roux"})
    told = household_form.differences(moved, household_form.read(sent(g0_email="ana@example.org")))
    assert told == [
        ("Nom : Famille Neuve-Roux", "Nom : Famille Neuve"),
        ("Ana Neuve · sans email", "Ana Neuve · ana@example.org"),
    ]


def test_a_household_of_forty_children_comes_back_whole_and_nobody_is_removed() -> None:
    children = tuple(CHILD.model_copy(update={"child_id": uuid4(), "first_name": f"Léa {n}"}) for n in range(40))
    view = VIEW.model_copy(update={"children": children})
    payload = household_form.to_request(household_form.read(sent(view, c39_first_name="Zoé", c20_gone="1")))
    assert payload is not None
    kept = [each.child_id for each in (*children[:20], *children[21:])]
    assert [each.child_id for each in payload.children] == kept
    assert payload.removed == {children[20].child_id}
    assert payload.children[-1].first_name == "Zoé"


def test_a_row_in_which_only_an_address_was_typed_is_not_dropped() -> None:
    form = household_form.read(sent(g1_email="paul@example.org"))
    assert household_form.to_request(form) is None
    assert list(form.wrong) == ["g1_first_name", "g1_last_name"]


def test_a_guardian_of_the_same_name_is_somebody_new() -> None:
    form = household_form.read(sent(g1_first_name="Ana", g1_last_name="Neuve", g1_email="fille@example.org"))
    payload = household_form.to_request(form)
    assert payload is not None
    assert [each.guardian_id for each in payload.guardians] == [GUARDIAN.guardian_id, None]
