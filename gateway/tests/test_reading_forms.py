"""One reader for every form: what it is given is read whole, or refused by the name of the field."""

from datetime import UTC, date, datetime

import pytest
from multidict import MultiDict

from gateway.forms import fields
from gateway.forms.fields import (
    FieldError,
    FormRefused,
    SubmittedForm,
    checkbox,
    choice,
    digest,
    hidden,
    id_field,
    line,
    lines,
    read,
    secret,
)

FIELDS = {
    "reason": line("Motif", length_max=20, always=True),
    "text": lines("Texte", length_max=30),
    "secret": secret("Code", length_max=20),
    "means": choice("Moyen", "cash", "cheque"),
    "of": id_field("Facture", many=True),
    "g#_id": id_field("Responsable"),
    "mark|*": choice("Présence", "present"),
    "kept": checkbox("Garder"),
    "day": line("Jour"),
    "at": line("Heure"),
    "count": line("Nombre"),
    "cell": hidden("Cases", many=True),
}
ID = "0c5a1f0e-8f4e-4c39-9d5e-6f4f7a2f6f10"


def sent(*pairs: tuple[str, str]) -> SubmittedForm:
    return read(FIELDS, MultiDict([("reason", "ok"), *pairs]))


def refused(*pairs: tuple[str, str]) -> list[tuple[str, str]]:
    """What is said of a form that is refused, by the name of its field."""
    with pytest.raises(FormRefused) as refusal:
        read(FIELDS, MultiDict(pairs))
    return [(each["field"], each["why"]) for each in refusal.value.facts["errors"]]


def test_what_a_page_sends_is_read_field_by_field() -> None:
    form = sent(
        ("text", " E\u0301cole\r\nle soir\t "),
        ("secret", " Ge\u0301ant "),
        *(("of", ID), ("of", ID.replace("f", "e")), ("g12_id", ID), ("mark|a|b", "present"), ("kept", "on")),
        *(("day", "2026-12-31"), ("at", "2026-07-01T18:00"), ("count", "12"), ("version", "3"), ("key", "abc-1")),
    )
    assert form["text"] == "École\nle soir"
    assert form.lines("text") == ["École", "le soir"]
    assert form["secret"] == " Ge\u0301ant ", "sign by sign: auth knows what to compare"
    assert len(form.getall("of")) == 2
    assert (form["g12_id"], form["mark|a|b"], form.ticked("kept"), form.ticked("means")) == (ID, "present", True, False)
    assert (form.day("day"), form.whole("count", 1, 12)) == (date(2026, 12, 31), 12)
    assert form.instant("at") == datetime(2026, 7, 1, 16, tzinfo=UTC)
    assert (form.day("means"), form.get("absent")) == (None, "")


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (("other", "1"), ("other", "unknown")),
        (("Reason", "1"), ("Reason", "unknown")),
        (("g#_id", ID), ("g#_id", "unknown")),
        (("g1234_id", ID), ("g1234_id", "unknown")),
        (("reason", "again"), ("Motif", "repeated")),
        (("text", "x" * 31), ("Texte", "too_long")),
        (("secret", "x" * 21), ("Code", "too_long")),
        (("day", "a\nb"), ("Jour", "unreadable")),
        (("text", "a\x07b"), ("Texte", "unreadable")),
        (("day", "a\ufffdb"), ("Jour", "unreadable")),
        (("means", "card"), ("Moyen", "not_understood")),
        (("means", ""), ("Moyen", "not_understood")),
        (("kept", "yes"), ("Garder", "not_understood")),
        (("kept", "0"), ("Garder", "not_understood")),
        (("of", "x"), ("Facture", "not_understood")),
        (("of", f"{{{ID}}}"), ("Facture", "not_understood")),
        (("version", "abc"), ("Version de la page", "not_understood")),
        (("version", "-1"), ("Version de la page", "not_understood")),
        (("version", "٣"), ("Version de la page", "not_understood")),
        (("key", "a b"), ("Clé de la page", "not_understood")),
    ],
)
def test_what_no_page_sends_is_refused_by_the_name_of_its_field(pair: tuple[str, str], said: tuple[str, str]) -> None:
    assert refused(("reason", "ok"), pair) == [said]


@pytest.mark.parametrize("text", ["0", "0123456789abcdef0123"])
def test_the_version_of_what_two_people_edit_is_a_digest(text: str) -> None:
    assert read({"version": digest("Version")}, MultiDict(version=text))["version"] == text


@pytest.mark.parametrize("text", ["", "3", "0123456789ABCDEF0123", "0123456789abcdef012", "00", "0" * 21])
def test_a_version_that_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(FormRefused):
        read({"version": digest("Version")}, MultiDict(version=text))


def test_a_field_that_is_always_there_and_is_not_means_another_page() -> None:
    assert refused(("text", "x")) == [("Motif", "missing")]
    assert "«\N{NO-BREAK SPACE}Motif\N{NO-BREAK SPACE}» est obligatoire." in fields.error_messages(
        [{"field": "Motif", "why": "missing", "count": 0}]
    )


def test_every_wrong_field_is_named_and_a_form_of_endless_fields_is_not_even_looked_at() -> None:
    assert refused(("a", ""), ("b", ""), ("kept", "x")) == [
        ("a", "unknown"),
        ("b", "unknown"),
        ("Garder", "not_understood"),
        ("Motif", "missing"),
    ]
    assert refused(*[("cell", "x")] * 9_000) == [("Formulaire", "too_many")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            ("day", text)
            for text in ("1606780800", "0001-01-01", "20266-12-01", "31/12/2026", "2026-02-30", "20261231")
        ),
        *(("at", text) for text in ("2026-12-01", "2026-12-01T18:00+05:00", "2026-12-01T24:30", "9999-12-31T23:59")),
        ("at", "2026-03-29T02:30"),
        *(("count", text) for text in ("0", "13", "1e1", "1_0", "+5", "٣", "5.0", "-1")),
    ],
)
def test_what_cannot_be_understood_is_said_with_the_name_of_the_field(name: str, text: str) -> None:
    form = sent((name, text))
    label = FIELDS[name].label
    with pytest.raises(FieldError, match=f"« {label} »|«\N{NO-BREAK SPACE}{label}\N{NO-BREAK SPACE}»"):
        {"day": form.day, "at": form.instant, "count": lambda of: form.whole(of, 1, 12)}[name](name)
