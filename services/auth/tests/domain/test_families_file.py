"""The file of families: what is written is read as the same households; what is not understood is said by line."""

import os
import tracemalloc
from dataclasses import replace
from datetime import date
from uuid import uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from auth.domain import families_file
from auth.domain.addresses import checked_email
from auth.domain.imports import ERASED, compare
from auth.domain.registry import Child, Guardian, Household, Place
from contracts.api.auth import GUARDIANS_MAX, HouseholdUpdate
from contracts.events.auth import Custody, Span
from contracts.model import Language

TODAY = date(2026, 12, 1)
HEAD = ";".join(families_file.columns(2))
ROW = "A1;Famille A;1 rue A;;56700;Saint-Aubin;;Aaa;Anne;;;;;;Aaa;Ana;10/03/2018;École;CE1;"

NASTY = st.sampled_from(
    [
        "=",
        "'=",
        "''=",
        "'",
        '"',
        '""',
        "; ",
        ",",
        "+33",
        "-",
        "@",
        "x\u00a0y",
        "É",
        "e\u0301",
        "|",
        "a  b",
        "00000",
        "N°",
    ]
)
WORD = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufffd"))
LINE = st.one_of(
    st.sampled_from(["Ana", "Léa", "Martin", "56700 Saint-Aubin", "1000 Bruxelles", "56700  Saint-Aubin", "56700"]),
    st.lists(st.one_of(NASTY, WORD), min_size=1, max_size=4).map("".join),
).filter(lambda text: 0 < len(text.strip()) <= 100)
DAYS = st.dates(date(1900, 1, 1), date(2199, 12, 31))
SIXTY = [{"first_day": date(2026, 9, 1), "last_day": date(2199, 12, 31)}] * 60
SPANS = st.lists(st.tuples(DAYS, DAYS).map(sorted), max_size=4).map(
    lambda days: [{"first_day": first, "last_day": last} for first, last in days]
)
EMAILS = st.sampled_from([None, "ana@example.org", "Ana.B+c@example.org", "=o'neil@sous.example.org"])
GUARDIANS = st.lists(
    st.fixed_dictionaries({"first_name": LINE, "last_name": LINE, "email": EMAILS}), min_size=1, max_size=GUARDIANS_MAX
)
CHILDREN = st.lists(
    st.fixed_dictionaries(
        {
            "first_name": LINE,
            "last_name": LINE,
            "birth_date": st.one_of(st.just(date(2018, 4, 17)), st.dates(date(1900, 1, 1), TODAY)),
            "school": LINE,
            "class_name": LINE,
            "custody": st.sampled_from(Custody),
            "custody_days": SPANS,
        }
    ),
    max_size=5,
)
HOUSEHOLDS = st.lists(
    st.fixed_dictionaries(
        {
            "seen_version": st.just(1),
            "name": LINE,
            "address": st.lists(LINE, min_size=1, max_size=5),
            "locale": st.sampled_from(Language),
            "guardians": GUARDIANS,
            "children": CHILDREN,
        }
    ).map(HouseholdUpdate.model_validate),
    min_size=1,
    max_size=3,
)


def kept(number: int, typed: HouseholdUpdate) -> Household:
    """The household as the registry keeps it after a page saved it; every second child has a number."""
    return Household(
        f"-F {number}",
        typed.name,
        typed.address,
        tuple(
            Guardian(g.first_name, g.last_name, checked_email(g.email) if g.email else None, uuid4(), bool(row % 2))
            for row, g in enumerate(typed.guardians)
        ),
        tuple(
            Place(
                Child(
                    c.first_name,
                    c.last_name,
                    c.birth_date,
                    c.school,
                    c.class_name,
                    f"E{number}-{row}" if row % 2 else None,
                    uuid4(),
                ),
                c.custody,
                c.custody_days,
            )
            for row, c in enumerate(typed.children)
        ),
        uuid4(),
        locale=typed.locale,
    )


def a_household(**changed: object) -> HouseholdUpdate:
    child = {"first_name": "Léa", "last_name": "A", "birth_date": date(2018, 4, 17), "school": "É", "class_name": "CP"}
    usual = {
        "seen_version": 1,
        "name": "A",
        "address": ["1 rue A", "Bât. A", "56700 Saint-Aubin"],
        "locale": "fr",
        "guardians": [{"first_name": "Ana", "last_name": "A"}],
        "children": [child, child],
    }
    return HouseholdUpdate.model_validate({**usual, **changed})


@settings(max_examples=int(os.environ.get("EXAMPLES", "40")))
@given(HOUSEHOLDS)
@example([a_household()]).via("twins of one name, class and school")
@example([a_household(guardians=[{"first_name": "Ana", "last_name": "A"}] * GUARDIANS_MAX)])
@example([a_household(name="'=1+1", address=["'=1", "''-2", "1000 Bruxelles"])])
@example([a_household(address=["1 rue A", *["x" * 200] * 4])])
@example([a_household(children=[{**a_household().children[0].model_dump(), "custody_days": SIXTY}])])
def test_what_is_exported_and_imported_changes_nothing(typed: list[HouseholdUpdate]) -> None:
    """Any household that the pages accept: the same bytes again, and an empty difference."""
    known = {each.reference: each for each in (kept(number, one) for number, one in enumerate(typed))}
    children = {
        place.child.reference: place.child
        for each in known.values()
        for place in each.places
        if place.child.reference is not None
    }
    content = families_file.write(known.values())
    file = families_file.read(content)
    assert file.errors == ()
    found = compare(known, children, file, uuid4, today=TODAY)
    assert (found.report.errors, found.report.differences, found.plans) == ((), (), ())
    assert families_file.write(file.households) == content


def errors(content: str | bytes) -> list[tuple[int, str]]:
    file = families_file.read(content if isinstance(content, bytes) else content.encode())
    return [(each.line, each.column) for each in file.errors]


def test_a_line_break_is_read_in_the_complement_of_an_address_and_nowhere_else() -> None:
    row = ROW.replace("1 rue A;;", '1 rue A;"Bât. A\r\nEscalier 2";')
    file = families_file.read(f"{HEAD}\r\n{row}\r\n".encode())
    assert file.errors == ()
    assert file.households[0].address == ("1 rue A", "Bât. A", "Escalier 2", "56700 Saint-Aubin")
    assert errors(f"{HEAD}\n{ROW}\n{ROW.replace('CE1', chr(34) + 'C' + chr(10) + 'E1' + chr(34))}") == [(3, "Classe")]


def test_stray_quotes_merge_no_families_and_are_said_where_they_opened() -> None:
    opened = ROW.replace("1 rue A", '"1 rue A')
    closed = ROW.replace("A1", "B2").replace("1 rue A", '2 rue B"')
    assert errors("\n".join([HEAD, ROW.replace("A1", "Z9"), opened, closed, ROW.replace("A1", "C3")])) == [
        (3, "Adresse")
    ]
    assert errors("\n".join([HEAD, ROW, opened.replace("A1", "B2"), *[ROW.replace("A1", "C3")] * 40])) == [(3, "")]
    assert errors("\n".join([HEAD, ROW, opened.replace("A1", "B2")])) == [(3, "")]
    assert errors("\n".join([HEAD, ROW, ROW.replace("1 rue A", '"1 rue" A')])) == [(3, "")]


@pytest.mark.parametrize(
    ("written", "custody", "days"),
    [
        ("", Custody.FREE, []),
        ("Semaines paires", Custody.EVEN_WEEKS, []),
        ("du 1/9/2026 au 02/09/2026|le 03/09/2026", Custody.FREE, [(1, 2), (3, 3)]),
        ("semaines impaires | du 01/09/2026 au 02/09/2026", Custody.ODD_WEEKS, [(1, 2)]),
        ("| 01/09/2026 - 02/09/2026", Custody.FREE, [(1, 2)]),
    ],
)
def test_the_days_of_a_household_are_read_whole(written: str, custody: Custody, days: list[tuple[int, int]]) -> None:
    file = families_file.read(f"{HEAD}\n{ROW}{written}".encode())
    assert file.errors == ()
    spans = tuple(Span(first_day=date(2026, 9, first), last_day=date(2026, 9, last)) for first, last in days)
    assert (file.households[0].places[0].custody, file.households[0].places[0].custody_days) == (custody, spans)


@pytest.mark.parametrize(
    "written",
    [
        "semaines paires | du 21/12/2026 au 03/01/2027 | du 15/02/2027 au 21/02/27",
        "du 21/12/2026 au 03/01/2027 et du 15/02/2027 au 21/02/2027",
        "un jour sur deux | du 21/12/2026 au 03/01/2027",
        "du 03/01/2027 au 21/12/2026",
        "semaines paires |",
        "du 21/12/2026 au 03/01/9999",
        "--",
    ],
)
def test_a_custody_that_is_half_understood_is_refused(written: str) -> None:
    assert errors(f"{HEAD}\n{ROW}{written}") == [(2, "Garde")]


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (("10/03/2018", "01/02/0015"), "Naissance"),
        (("10/03/2018", "01/02/15"), "Naissance"),
        (("10/03/2018", "01/02/2200"), "Naissance"),
        (("56700", "1000"), "Code postal"),
        (("56700", "٥٦٧٠٠"), "Code postal"),
        (("Ana", "A\x85na"), "Prénom enfant"),
        (("A1", "x" * 41), "Foyer"),
    ],
)
def test_a_cell_that_cannot_be_meant_is_refused_by_name(change: tuple[str, str], column: str) -> None:
    assert errors(f"{HEAD}\n{ROW.replace(*change)}") == [(2, column)]


def read_again(content: str, *known: Household, erased: tuple[str, ...] = ()) -> list[tuple[int, str, str]]:
    file = families_file.read(content.encode())
    assert file.errors == ()
    found = compare({each.reference: each for each in known}, {}, file, uuid4, today=TODAY, erased=erased)
    return [(each.line, each.column, each.message) for each in found.report.errors]


def test_a_child_to_be_born_a_child_twice_and_a_household_that_was_erased_are_refused_by_line() -> None:
    assert read_again(f"{HEAD}\n\n{ROW}", erased=("A1",)) == [(3, "Foyer", ERASED)]
    assert [each[:2] for each in read_again(f"{HEAD}\n{ROW.replace('2018', '2099')}")] == [(2, "Naissance")]
    assert [each[:2] for each in read_again(f"{HEAD}\n{ROW}\n{ROW}")] == [(2, "Nom enfant")]
    twins = kept(1, a_household(children=[{**a_household().children[0].model_dump(), "first_name": "Ana"}] * 2))
    there = replace(
        twins,
        reference="A1",
        places=tuple(
            replace(place, child=replace(place.child, last_name="Aaa", birth_date=date(2018, 3, 10)))
            for place in twins.places
        ),
    )
    assert read_again(f"{HEAD}\n{ROW}\n{ROW}", there) == [], "two who are there already"


@pytest.mark.parametrize(
    "content",
    [
        b";" * 15_000_000,
        (HEAD.encode() + b"\n") + b";" * 15_000_000,
        (HEAD.encode() + b"\n") + b";\n" * 7_500_000,
        b'"' + b"x\n" * 7_000_000,
        b";".join([b"x"] * 1_000),
    ],
)
def test_a_file_that_is_none_is_refused_before_it_is_taken_in(content: bytes) -> None:
    """At its first lines, whatever follows: what is held of it stays small beside the file itself."""
    tracemalloc.start()
    try:
        file = families_file.read(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(file.errors) == 1
    assert file.errors[0].line in {1, 2, families_file.LINES_MAX + 1}
    assert peak < 4_000_000
